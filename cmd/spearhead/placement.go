package main

import (
	"fmt"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/placement"
)

func placementCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "placement",
		Usage: "placement: which nodes containers go to",
		Subcommands: []*cli.Command{{
			Name:      "explain",
			Usage:     "show where a container would go, and why, without creating it",
			ArgsUsage: "LOGIN",
			Description: "Shows how many nodes each reason takes out, and the best of the others with what speaks for them,\n" +
				"from the most important to the least. Nothing is reserved.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "image", Usage: "the account's image `REF`; without one, nodes of every platform fit"},
				&cli.StringFlag{Name: "package", Usage: "the `NAME` of a package"},
				&cli.StringFlag{Name: "memory", Usage: "the memory that is asked for, a `SIZE`"},
				&cli.Float64Flag{Name: "cpus", Usage: "the `NUMBER` of processors that is asked for"},
				&cli.StringFlag{Name: "network", Usage: "the `NAME` of a network"},
				&cli.StringSliceFlag{Name: "affinity", Usage: "a `RULE` such as app!=web or zone==~east; may be repeated"},
				&cli.StringSliceFlag{Name: "label", Usage: "a label of the container, `NAME=VALUE`; may be repeated"},
				&cli.IntFlag{Name: "best", Value: 5, Usage: "how many `NODES` to show"},
			},
			Action: explainPlacement,
		}},
	})
}

func explainPlacement(c *cli.Context) error {
	args, err := arguments(c, "LOGIN")
	if err != nil {
		return err
	}
	labels, err := parseLabels(c.StringSlice("label"))
	if err != nil {
		return err
	}
	request := adminapi.ExplainRequest{
		Account: args[0], Image: c.String("image"), Package: c.String("package"), Network: c.String("network"),
		NanoCPUs: int64(c.Float64("cpus") * 1e9), Labels: labels, Affinities: c.StringSlice("affinity"), Best: c.Int("best"),
	}
	if err := readSize(c, "memory", &request.Memory, units.RAMInBytes); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		explained, err := head.Explain(c.Context, request)
		if err != nil {
			return err
		}
		return printExplanation(c, explained)
	})
}

func printExplanation(c *cli.Context, e adminapi.Explanation) error {
	result := "it would go to " + e.Node
	if e.Node == "" {
		result = e.Refusal
	}
	if _, err := fmt.Fprintln(c.App.Writer, result); err != nil {
		return err
	}
	for _, refused := range e.Refused {
		if _, err := fmt.Fprintf(c.App.Writer, "  %d of %d nodes: %s\n", refused.Nodes, e.Considered, refused.Text()); err != nil {
			return err
		}
	}
	if len(e.Best) == 0 {
		return nil
	}
	rows := newTable(c.App.Writer, "NODE", "RESERVOIR", "WISHES KEPT", "OWN CONTAINERS", "IN ZONE", "IN RACK", "IMAGE", "MEMORY LEFT")
	for _, node := range e.Best {
		s := node.Score
		rows.add(node.Name, yes(s.Reservoir), s.Apart+s.Together, s.OnNode, more(s.InZone), more(s.InRack), yes(s.Image), size(s.Memory*placement.MemoryGrain))
	}
	return rows.print()
}

// more is how many containers there are beyond those in the emptiest place.
func more(n int) string { return fmt.Sprintf("+%d", n) }
