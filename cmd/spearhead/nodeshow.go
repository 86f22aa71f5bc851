package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func showNode(c *cli.Context) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		node, err := head.Node(c.Context, args[0])
		if err != nil {
			return err
		}
		on, err := head.ContainersOnNode(c.Context, args[0])
		if err != nil {
			return err
		}
		for _, line := range slices.Concat(aboutNode(node), aboutHardware(node.Inventory)) {
			if _, err := fmt.Fprintln(c.App.Writer, line); err != nil {
				return err
			}
		}
		if err := printContainers(c, on); err != nil {
			return err
		}
		return printNodeWarnings(c, []adminapi.NodeStatus{node})
	})
}

// aboutNode is a node in lines, each a name and what is known under it.
func aboutNode(n adminapi.NodeStatus) []string {
	var lines []string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%-12s %s", name, value))
		}
	}
	add("name", n.Name)
	add("id", n.ID)
	add("state", nodeState(n))
	add("address", n.Address)
	add("joined", n.Joined.Local().Format(time.RFC3339))
	if !n.Seen.IsZero() {
		add("seen", n.Seen.Local().Format(time.RFC3339))
	}
	add("rack", n.Rack)
	add("zone", n.Zone)
	if n.Reservoir {
		add("reservoir", "yes: filled last")
	}
	if n.MaxContainers > 0 {
		add("containers", fmt.Sprintf("%d at most", n.MaxContainers))
	}
	add("labels", labelText(n.Labels))
	add("traits", strings.Join(n.Traits, " "))
	add("networks", strings.Join(n.Info.NICTags, " "))
	add("system", strings.TrimSpace(n.Info.OperatingSystem+" "+n.Info.Kernel+" "+n.Info.Architecture))
	add("spearhead", n.Info.Version)
	add("storage", n.Info.Storage)
	add("memory", promised(size(n.Promised.Memory), size(n.Info.Capacity.Memory), n.Overcommit.Memory))
	add("cores", promised(cores(n.Promised.CPU), cores(n.Info.Capacity.CPU), n.Overcommit.CPU))
	add("disk", promised(size(n.Promised.Disk), size(n.Info.Capacity.Disk), n.Overcommit.Disk))
	if n.Load != nil {
		add("load", fmt.Sprintf("%.2f; %s of memory free", n.Load.Load1, size(n.Load.Free.Memory)))
	}
	return lines
}

func promised(some, all string, ratio float64) string {
	if all == "" {
		return ""
	}
	if some == "" {
		some = "none"
	}
	text := fmt.Sprintf("%s of %s promised", some, all)
	if ratio != 0 {
		text += fmt.Sprintf(", ratio %g", ratio)
	}
	return text
}

func labelText(labels map[string]string) string {
	var texts []string
	for name, value := range labels {
		texts = append(texts, name+"="+value)
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// aboutHardware is what the machine said of itself when it joined.
func aboutHardware(i *model.Inventory) []string {
	if i == nil {
		return nil
	}
	var lines []string
	if machine := strings.TrimSpace(i.Vendor + " " + i.Product); machine != "" {
		lines = append(lines, fmt.Sprintf("%-12s %s", "machine", machine))
	}
	lines = append(lines, fmt.Sprintf("%-12s %d of %s, %s of memory", "processors", i.CPUs, i.Processor, size(i.Memory)))
	for _, d := range i.Disks {
		sort := "solid state"
		if d.Rotational {
			sort = "rotating"
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%-12s %s %s, %s %s", "disk", d.Name, size(d.Size), sort, d.Model)))
	}
	for _, l := range i.Links {
		state := "down"
		if l.Up {
			state = "up"
		}
		if l.Speed > 0 {
			state += fmt.Sprintf(", %d Mbit/s", l.Speed)
		}
		lines = append(lines, fmt.Sprintf("%-12s %s %s %s", "interface", l.Name, l.MAC, state))
	}
	return lines
}
