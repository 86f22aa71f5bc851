package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

// nodeLife are the commands that change what a node may do.
func nodeLife() []*cli.Command {
	yes, no := true, false
	return []*cli.Command{
		nodeSwitch("approve", "let a node that has joined take part", model.NodeChange{Approved: &yes},
			"Compare what spearhead node show says of its hardware with the machine that you expect."),
		nodeSwitch("cordon", "let no new containers onto a node", model.NodeChange{Cordoned: &yes}, "What runs there runs on."),
		nodeSwitch("uncordon", "let new containers onto a node again, also onto one that counted as lost and is back",
			model.NodeChange{Cordoned: &no, Lost: &no}, ""),
		drainCommand(),
		{
			Name: "lost", Usage: "say that a node does not come back", ArgsUsage: "NODE",
			Description: "Switch the machine off before: this is the word on which others take its place. Containers whose owner\n" +
				"asked for it by the label " + model.LabelReschedule + "=true are started on other nodes, with their names and\n" +
				"addresses and without what they wrote; all others count as dead. If the machine comes back after all,\n" +
				"it ends what was started elsewhere before anything else; spearhead node uncordon lets it take part again.",
			Flags:  []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "also if it gives signs of life"}},
			Action: loseNode,
		},
		{
			Name: "remove", Usage: "take a node out for good", ArgsUsage: "NODE",
			Description: "Its certificate is refused from then on. A node that has containers is not removed.",
			Flags:       []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "also a lost one that has containers: they are forgotten"}},
			Action:      removeNode,
		},
		{
			Name: "label", Usage: "set and remove labels of a node", ArgsUsage: "NODE NAME=VALUE... NAME-...",
			Description: "NAME=VALUE sets a label, NAME- removes it.",
			Action:      labelNode,
		},
		{
			Name: "set", Usage: "say where a node stands and how much may be promised of it", ArgsUsage: "NODE",
			Description: "Only what is named changes. Which physical networks a node is on is in its agent.toml (nic_tags).",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "address", Usage: "where heads reach its agent, `HOST:PORT`"},
				&cli.StringFlag{Name: "rack", Usage: "the `NAME` of its rack"},
				&cli.StringFlag{Name: "zone", Usage: "the `NAME` of its zone"},
				&cli.StringFlag{Name: "traits", Usage: "`NAMES`, with commas, of what it has and not every node; empty takes all away"},
				&cli.StringFlag{Name: "owners", Usage: "`LOGINS`, with commas, of the only accounts whose containers it takes; empty lets all"},
				&cli.BoolFlag{Name: "reservoir", Usage: "fill it last; --reservoir=false takes that back"},
				&cli.IntFlag{Name: "max-containers", Usage: "at most `COUNT` containers; 0 is no bound"},
				&cli.Float64Flag{Name: "overcommit-memory", Usage: "promise this `RATIO` of its memory; 0 is 1"},
				&cli.Float64Flag{Name: "overcommit-cpu", Usage: "promise this `RATIO` of its CPU; 0 is 4"},
				&cli.Float64Flag{Name: "overcommit-disk", Usage: "promise this `RATIO` of its disk; 0 is 1"},
			},
			Action: setNode,
		},
	}
}

// nodeSwitch is a command that makes one change of one node.
func nodeSwitch(name, usage string, change model.NodeChange, description string) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, ArgsUsage: "NODE", Description: description, Action: func(c *cli.Context) error {
		args, err := arguments(c, "NODE")
		if err != nil {
			return err
		}
		return operator(c, func(head *adminapi.Client) error { return head.ChangeNode(c.Context, args[0], change) })
	}}
}

func printContainers(c *cli.Context, on []adminapi.NodeContainer) error {
	if len(on) == 0 {
		return nil
	}
	rows := newTable(c.App.Writer, "CONTAINER", "NAME", "ACCOUNT", "STATUS", "MOVES WHEN LOST")
	for _, k := range on {
		rows.add(model.ShortID(k.ID), k.Name, k.Account, k.Status, yes(k.Moves))
	}
	return rows.print()
}

func loseNode(c *cli.Context) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		on, err := head.LoseNode(c.Context, args[0], adminapi.LossRequest{Force: c.Bool("force")})
		if err != nil {
			return err
		}
		moving := 0
		for _, k := range on {
			if k.Moves {
				moving++
			}
		}
		_, err = fmt.Fprintf(c.App.Writer, "%s counts as lost: %d of its containers are started elsewhere, %d count as dead\n", args[0], moving, len(on)-moving)
		return err
	})
}

func removeNode(c *cli.Context) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveNode(c.Context, args[0], c.Bool("force")) })
}

func labelNode(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) < 2 {
		_, err := arguments(c, "NODE", "NAME=VALUE")
		return err
	}
	change := model.NodeChange{SetLabels: map[string]string{}}
	for _, text := range args[1:] {
		name, value, sets := strings.Cut(text, "=")
		removed, removes := strings.CutSuffix(text, "-")
		switch {
		case sets && name != "":
			change.SetLabels[name] = value
		case !sets && removes && removed != "":
			change.DropLabels = append(change.DropLabels, removed)
		default:
			return usageErrorf("%s is neither NAME=VALUE nor NAME-", text)
		}
	}
	return operator(c, func(head *adminapi.Client) error { return head.ChangeNode(c.Context, args[0], change) })
}

func setNode(c *cli.Context) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		change, some, err := nodeChange(c, func() (model.Overcommit, error) {
			node, err := head.Node(c.Context, args[0])
			return node.Overcommit, err
		})
		if err != nil {
			return err
		}
		if !some {
			return usageErrorf("%s: say what is to change, such as --rack r1", commandPath(c))
		}
		return head.ChangeNode(c.Context, args[0], change)
	})
}

// nodeChange is what the flags of set ask for, and whether they ask for
// anything. ratios tells those that the node has: the three are one value.
func nodeChange(c *cli.Context, ratios func() (model.Overcommit, error)) (change model.NodeChange, some bool, err error) {
	for flag, field := range map[string]**string{"address": &change.Address, "rack": &change.Rack, "zone": &change.Zone} {
		if c.IsSet(flag) {
			value := c.String(flag)
			*field, some = &value, true
		}
	}
	if c.IsSet("traits") {
		traits := strings.FieldsFunc(c.String("traits"), func(r rune) bool { return r == ',' || r == ' ' })
		change.Traits, some = &traits, true
	}
	if c.IsSet("owners") {
		owners := strings.FieldsFunc(c.String("owners"), func(r rune) bool { return r == ',' || r == ' ' })
		change.Owners, some = &owners, true
	}
	if c.IsSet("reservoir") {
		reservoir := c.Bool("reservoir")
		change.Reservoir, some = &reservoir, true
	}
	if c.IsSet("max-containers") {
		most := c.Int("max-containers")
		change.MaxContainers, some = &most, true
	}
	if !c.IsSet("overcommit-memory") && !c.IsSet("overcommit-cpu") && !c.IsSet("overcommit-disk") {
		return change, some, nil
	}
	now, err := ratios()
	if err != nil {
		return change, false, err
	}
	for flag, ratio := range map[string]*float64{"overcommit-memory": &now.Memory, "overcommit-cpu": &now.CPU, "overcommit-disk": &now.Disk} {
		if c.IsSet(flag) {
			*ratio = c.Float64(flag)
		}
	}
	change.Overcommit = &now
	return change, true, nil
}
