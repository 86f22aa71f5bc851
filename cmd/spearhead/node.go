package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

func nodeCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "node",
		Usage: "nodes: the machines that run containers",
		Subcommands: append([]*cli.Command{
			{
				Name:      "enroll",
				Usage:     "make the identity of a node by hand, where spearhead agent join cannot be used",
				ArgsUsage: "NAME",
				Description: "Writes ca.pem, cert.pem, key.pem and gossip.json into the folder --out. Copy it to the\n" +
					"machine as its identity_dir, readable by root alone, and delete it here.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "address", Usage: "where the machine's agent will be reached, `HOST:PORT`"},
					&cli.StringFlag{Name: "out", Usage: "the folder `DIR` to write; it must not exist"},
					&cli.Float64Flag{Name: "overcommit-memory", Usage: "promise this `RATIO` of its memory; 0 is 1"},
					&cli.Float64Flag{Name: "overcommit-cpu", Usage: "promise this `RATIO` of its CPU; 0 is 4"},
					&cli.Float64Flag{Name: "overcommit-disk", Usage: "promise this `RATIO` of its disk; 0 is 1"},
					&cli.StringSliceFlag{Name: "label", Usage: "a label `NAME=VALUE`; may be repeated"},
				},
				Action: enrollNode,
			},
			{Name: "ls", Usage: "list the nodes", Action: listNodes},
			{Name: "show", Usage: "show what is known of a node, its hardware and its containers", ArgsUsage: "NODE", Action: showNode},
		}, nodeLife()...),
	})
}

func enrollNode(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := require(c, "address", "out"); err != nil {
		return err
	}
	labels, err := parseLabels(c.StringSlice("label"))
	if err != nil {
		return err
	}
	keyPEM, csrPEM, err := pki.NewRequest()
	if err != nil {
		return err
	}
	out := c.String("out")
	if err := os.Mkdir(out, 0o700); err != nil {
		return fmt.Errorf("cannot write the identity: %w", err)
	}
	return operator(c, func(head *adminapi.Client) error {
		enrolled, err := head.EnrollNode(c.Context, adminapi.EnrollRequest{
			Name: args[0], Address: c.String("address"), CSR: csrPEM, Labels: labels,
			Overcommit: model.Overcommit{
				Memory: c.Float64("overcommit-memory"), CPU: c.Float64("overcommit-cpu"), Disk: c.Float64("overcommit-disk"),
			},
		})
		if err != nil {
			return errors.Join(err, os.Remove(out))
		}
		if err := join.Save(out, keyPEM, enrolled); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "node %s enrolled; copy %s to it as identity_dir and start its agent\n", args[0], out)
		return err
	})
}

func parseLabels(texts []string) (map[string]string, error) {
	labels := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return nil, usageErrorf("--label %s is not NAME=VALUE", text)
		}
		labels[name] = value
	}
	return labels, nil
}

func listNodes(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		nodes, err := head.Nodes(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "NAME", "ADDRESS", "STATE", "CONTAINERS", "MEMORY PROMISED", "STORAGE", "RUNTIME", "VERSION")
		for _, node := range nodes {
			memory := promised(size(node.Promised.Memory), size(node.Info.Capacity.Memory), 0)
			rows.add(node.Name, node.Address, nodeState(node), node.Containers, memory, node.Info.Storage, node.Info.Runtime, node.Info.Version)
		}
		if err := rows.print(); err != nil {
			return err
		}
		return printNodeWarnings(c, nodes)
	})
}

func nodeState(node adminapi.NodeStatus) string {
	state := "unreachable"
	if node.Connected {
		state = "ready"
	}
	if !node.Approved {
		return "pending"
	}
	if storageFault(node) != "" {
		state += ", degraded"
	}
	if node.Lost {
		state += ", lost"
	}
	if node.Cordoned && !node.Lost {
		state += ", cordoned"
	}
	return state
}

// storageFault is what is wrong with the storage of a node that can be reached.
func storageFault(node adminapi.NodeStatus) model.StorageFault {
	if node.Load == nil || !node.Connected {
		return ""
	}
	return node.Load.Storage
}

// printNodeWarnings tells what an operator should look at.
func printNodeWarnings(c *cli.Context, nodes []adminapi.NodeStatus) error {
	for _, node := range nodes {
		if !node.Approved {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: waits for approval; look at it with spearhead node show %s, then spearhead node approve %s\n", node.Name, node.Name, node.Name); err != nil {
				return err
			}
		}
		if node.Twin != "" {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: another machine, at %s, uses its identity and is not let in; was the disk copied?\n", node.Name, node.Twin); err != nil {
				return err
			}
		}
		if fault := storageFault(node); fault != "" {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: its storage %s; nothing new is put on it until that is over\n", node.Name, fault); err != nil {
				return err
			}
		}
		for _, warning := range node.Info.Warnings {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: %s\n", node.Name, warning); err != nil {
				return err
			}
		}
		for _, missing := range node.Missing {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: has lost the container %s; docker rm removes what is known of it\n", node.Name, missing); err != nil {
				return err
			}
		}
		for _, orphan := range node.Orphans {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: runs a container that the data center does not know: %s\n", node.Name, orphan); err != nil {
				return err
			}
		}
	}
	return nil
}
