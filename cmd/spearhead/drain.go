package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
)

func drainCommand() *cli.Command {
	return &cli.Command{
		Name: "drain", Usage: "move all that is on a node to others", ArgsUsage: "NODE",
		Description: "Nothing new is placed on the node from then on. Each container moves as with spearhead container\n" +
			"move, stopped ones too, and each volume that none mounts; containers that share volumes or namespaces\n" +
			"move together. What cannot move is named, with the reason, and stays; the command can be given again.\n" +
			"With --stop nothing moves: what runs there is stopped.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "only show what would go where"},
			&cli.IntFlag{Name: "at-once", Value: 2, Usage: "`COUNT` of moves at the same time; containers that move together are one"},
			rateFlag(),
			&cli.BoolFlag{Name: "stop", Usage: "stop what runs there, and move nothing"},
			&cli.IntFlag{Name: "timeout", Value: -1, Usage: "with --stop: `SECONDS` until a container is killed; each one's own by default"},
		},
		Action: drainNode,
	}
}

func drainNode(c *cli.Context) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	moves := !c.Bool("stop")
	switch {
	case c.IsSet("timeout") && moves:
		return usageErrorf("--timeout is for --stop")
	case !moves && (c.IsSet("dry-run") || c.IsSet("at-once") || c.IsSet("rate")):
		return usageErrorf("--stop moves nothing: --dry-run, --at-once and --rate are for moves")
	case c.Int("at-once") < 1:
		return usageErrorf("--at-once: one at least")
	}
	bytes, err := rate(c)
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		switch {
		case !moves:
			return stopAll(c, head, args[0])
		case c.Bool("dry-run"):
			plan, err := head.PlannedMoves(c.Context, args[0])
			if err != nil {
				return err
			}
			return printPlan(c, plan)
		}
		return emptyNode(c, head, args[0], bytes)
	})
}

// stopAll stops what runs on a node.
func stopAll(c *cli.Context, head *adminapi.Client, node string) error {
	on, err := head.DrainNode(c.Context, node, adminapi.DrainRequest{Stop: true, Timeout: c.Int("timeout")})
	if err != nil {
		return err
	}
	if err := printContainers(c, on); err != nil {
		return err
	}
	failed := slices.IndexFunc(on, func(k adminapi.NodeContainer) bool { return k.Error != "" })
	if failed >= 0 {
		return fmt.Errorf("not everything on %s could be stopped: container %s: %s", node, on[failed].Name, on[failed].Error)
	}
	text := fmt.Sprintf("nothing new is placed on %s; %d containers are left on it, none of them runs", node, len(on))
	if len(on) == 0 {
		text = emptied(node)
	}
	_, err = fmt.Fprintln(c.App.Writer, text)
	return err
}

func emptied(node string) string {
	return fmt.Sprintf("%s is empty, and nothing new is placed on it", node)
}

func printPlan(c *cli.Context, plan []adminapi.PlannedMove) error {
	if len(plan) == 0 {
		_, err := fmt.Fprintln(c.App.Writer, "there is nothing on the node")
		return err
	}
	rows := newTable(c.App.Writer, "WHAT", "NAME", "STATUS", "TO", "TOGETHER WITH", "WHY NOT")
	for _, p := range plan {
		rows.add(kindOfMove(&p), p.Account+"/"+p.Name, p.Status, p.To, companions(plan, &p), p.Reason)
	}
	return rows.print()
}

// companions are the names of those that move with p, with commas.
func companions(plan []adminapi.PlannedMove, p *adminapi.PlannedMove) string {
	var names []string
	for _, other := range plan {
		if slices.Contains(p.With, other.ID) {
			names = append(names, other.Name)
		}
	}
	return strings.Join(names, ", ")
}

func kindOfMove(p *adminapi.PlannedMove) string {
	if p.Volume {
		return "volume"
	}
	return "container"
}

// emptyNode lets nothing new onto a node and moves what is on it.
func emptyNode(c *cli.Context, head *adminapi.Client, node string, rate int64) error {
	yes := true
	if err := head.ChangeNode(c.Context, node, model.NodeChange{Cordoned: &yes}); err != nil {
		return err
	}
	plan, err := head.PlannedMoves(c.Context, node)
	if err != nil {
		return err
	}
	shown := newProgress(c.App.Writer)
	var going errgroup.Group // one that fails holds back no other
	going.SetLimit(c.Int("at-once"))
	for _, together := range byMove(plan) {
		if c.Context.Err() != nil {
			break
		}
		going.Go(func() error {
			err := moveOne(c.Context, head, &together[0], companions(plan, &together[0]), rate, shown)
			for i := range together {
				if p := &together[i]; err != nil {
					p.Reason = err.Error()
					shown.fail(kindOfMove(p)+" "+p.Account+"/"+p.Name, err)
				}
			}
			return nil
		})
	}
	_ = going.Wait()
	shown.end()
	return tellDrained(c, node, plan)
}

// byMove cuts a plan into moves: those that go together are in one.
func byMove(plan []adminapi.PlannedMove) (moves [][]adminapi.PlannedMove) {
	for len(plan) > 0 {
		end := 1
		for end < len(plan) && slices.Contains(plan[0].With, plan[end].ID) {
			end++
		}
		moves, plan = append(moves, plan[:end]), plan[end:]
	}
	return moves
}

// moveOne moves a container with those that go along, or a volume that none
// mounts.
func moveOne(ctx context.Context, head *adminapi.Client, p *adminapi.PlannedMove, along string, rate int64, shown *progress) error {
	if p.To == "" {
		return errors.New(p.Reason)
	}
	name := p.Account + "/" + p.Name
	tell := func(now transfers.Progress) { shown.tell(name, now) }
	if p.Volume {
		return head.MoveVolume(ctx, p.Account, p.Name, adminapi.MoveVolumeRequest{Node: p.To, Rate: rate}, tell)
	}
	if along != "" {
		name += " with " + along
	}
	return head.MoveContainer(ctx, adminapi.MoveRequest{Container: p.ID, Rate: rate}, tell)
}

// tellDrained says what is left of a node that was to be emptied.
func tellDrained(c *cli.Context, node string, plan []adminapi.PlannedMove) error {
	left := 0
	for _, p := range plan {
		if p.Reason != "" {
			left++
		}
	}
	switch {
	case c.Context.Err() != nil:
		return c.Context.Err()
	case left > 0:
		return fmt.Errorf("%d of %d could not be moved off %s; nothing new is placed on it", left, len(plan), node)
	}
	_, err := fmt.Fprintln(c.App.Writer, emptied(node))
	return err
}
