package main

import (
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
)

func containerCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "container",
		Usage: "containers: what docker has no words for",
		Description: "Users make, start, stop and remove containers with docker. CONTAINER is an account's login and\n" +
			"the container's name, jill/web, or the beginning of an id.",
		Subcommands: []*cli.Command{
			{
				Name: "move", Usage: "bring a container to another node", ArgsUsage: "CONTAINER [NODE]",
				Description: "Its files, volumes and log go with it while it runs; then it is stopped, what has changed since\n" +
					"follows, and it starts on the other node with its name, id and addresses. Without NODE it goes where\n" +
					"a new one would. If that cannot be done it stays, and runs on. The move goes on if the command is ended.\n" +
					"All that share a volume or a namespace with it move along, in one move.",
				Flags:  []cli.Flag{rateFlag()},
				Action: moveContainer,
			},
			{Name: "moves", Usage: "list the containers that are being moved", Action: listMoves},
		},
	})
}

func rateFlag() cli.Flag {
	return &cli.StringFlag{Name: "rate", Usage: "copy `SIZE` in a second at most, but for the rest when a container is stopped; such as 50m"}
}

// rate reads the flag --rate.
func rate(c *cli.Context) (int64, error) {
	text := c.String("rate")
	if text == "" {
		return 0, nil
	}
	bytes, err := units.RAMInBytes(text)
	if err != nil || bytes < 1 {
		return 0, usageErrorf("--rate: %q is not a size such as 50m", text)
	}
	return bytes, nil
}

func moveContainer(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 || len(words) > 2 {
		_, err := arguments(c, "CONTAINER", "NODE")
		return err
	}
	request := adminapi.MoveRequest{Container: words[0]}
	if len(words) == 2 {
		request.Node = words[1]
	}
	var err error
	if request.Rate, err = rate(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		bar := newProgress(c.App.Writer)
		defer bar.end()
		told := false
		return head.MoveContainer(c.Context, request, func(p transfers.Progress) {
			if p.Along != "" && !told {
				bar.note(words[0] + " shares volumes or namespaces, and moves together with " + p.Along)
			}
			told = true
			bar.tell(words[0], p)
		})
	})
}

func listMoves(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		all, err := head.ContainerMoves(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "CONTAINER", "NAME", "FROM", "TO", "STEP", "SINCE")
		for _, m := range all {
			rows.add(model.ShortID(m.ID), m.Account+"/"+m.Name, m.From, m.To, m.Step, m.Since.Format(time.RFC3339))
		}
		return rows.print()
	})
}

// stepWords are what people read of a step.
var stepWords = map[string]string{
	string(model.TransferAsked):    "looking for a node",
	string(model.TransferCopying):  "copying",
	string(model.TransferStopping): "stopped, copying the rest",
	string(model.TransferUndoing):  "going back",
	string(model.TransferSettling): "is there, tidying up",
	"arriving":                     "starting",
	"done":                         "is there",
}

// describe is a line about a move.
func describe(name string, p transfers.Progress) string {
	text := name + ": " + stepWords[p.Step]
	if p.Node != "" {
		text = fmt.Sprintf("%s → %s: %s", name, p.Node, stepWords[p.Step])
	}
	if p.Step == "done" || p.Bytes == 0 {
		return text
	}
	return text + ", " + units.BytesSize(float64(p.Bytes))
}
