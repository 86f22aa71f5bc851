package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/metrics"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "how this head works: who leads, which nodes it sees, what waits",
		Description: "With --json it prints all that the head knows of its loops, queues and gates; the same\n" +
			"is at /status of metrics_listen. docs/operators/monitoring.md says what to look at.",
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print everything, as JSON"}, socketFlag()},
		OnUsageError: usageError,
		Action:       showStatus,
	}
}

func showStatus(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		status, err := head.Details(c.Context)
		if err != nil {
			return err
		}
		if c.Bool("json") {
			e := json.NewEncoder(c.App.Writer)
			e.SetIndent("", "  ")
			return e.Encode(status)
		}
		return printStatus(c, &status)
	})
}

func printStatus(c *cli.Context, s *metrics.Status) error {
	var text strings.Builder
	leader := s.Raft.Leader
	switch leader {
	case "":
		leader = "none is known: nothing can be changed until a majority of the heads is back"
	case s.ID:
		leader = "this head"
	}
	fmt.Fprintf(&text, "head      %s, version %s, up for %s\n", s.Head, s.Version, s.Time.Sub(s.Started).Round(time.Second))
	fmt.Fprintf(&text, "leader    %s\n", leader)
	fmt.Fprintf(&text, "raft      %s, term %d, entry %d applied of %d, %d heads\n",
		strings.ToLower(s.Raft.Role), s.Raft.Term, s.Raft.AppliedIndex, s.Raft.CommitIndex, len(s.Raft.Heads))
	silent, orphans, missing := []string{}, 0, 0
	for _, n := range s.Nodes {
		if !n.Connected {
			silent = append(silent, n.Name)
		}
		orphans, missing = orphans+len(n.Orphans), missing+len(n.Missing)
	}
	fmt.Fprintf(&text, "nodes     %d, of which %d do not answer", len(s.Nodes), len(silent))
	if len(silent) > 0 {
		fmt.Fprintf(&text, ": %s", strings.Join(silent[:min(len(silent), 10)], ", "))
	}
	fmt.Fprintf(&text, "\nfindings  %d containers that nobody knows, %d that their nodes have lost, %d unfinished\n", orphans, missing, len(s.Unfinished))
	fmt.Fprintf(&text, "images    %d copies to be made\n", s.Images.Copies)
	waiting := []string{}
	for name, n := range s.Queues {
		if n > 0 {
			waiting = append(waiting, fmt.Sprintf("%d %s", n, name))
		}
	}
	slices.Sort(waiting)
	fmt.Fprintf(&text, "begun     %s\n", cmp.Or(strings.Join(waiting, ", "), "nothing that has not ended"))
	gates := make([]string, 0, len(s.Gates))
	for name, g := range s.Gates {
		gates = append(gates, fmt.Sprintf("%d %s", g.UnderWay, name))
	}
	slices.Sort(gates)
	fmt.Fprintf(&text, "under way %s\n", strings.Join(gates, ", "))
	for _, warning := range s.Raft.Warnings {
		fmt.Fprintf(&text, "warning   %s\n", warning)
	}
	_, err := fmt.Fprint(c.App.Writer, text.String())
	return err
}
