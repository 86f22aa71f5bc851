package main

import (
	"fmt"
	"strconv"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

// words for limits that are no numbers.
const (
	wordUnlimited = "unlimited"
	wordNone      = "none"
)

func limitCommand() *cli.Command {
	return &cli.Command{
		Name:      "limit",
		Usage:     "bound what an account may have, or show it",
		ArgsUsage: "LOGIN",
		Description: "Each limit is a number, unlimited, or none. Without any, the limits and what is used of them are\n" +
			"shown. What an account has beyond a new limit stays, and nothing is added to it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "containers", Usage: "most containers, a `NUMBER`"},
			&cli.StringFlag{Name: "memory", Usage: "most memory of all containers, a `SIZE`"},
			&cli.StringFlag{Name: "cpus", Usage: "most processors of all containers, a `NUMBER`; each container then needs a limit of its own"},
			&cli.StringFlag{Name: "disk", Usage: "most disk of all containers and volumes, a `SIZE`"},
			&cli.StringFlag{Name: "networks", Usage: "most networks of its own, a `NUMBER`"},
			&cli.StringFlag{Name: "volumes", Usage: "most volumes, a `NUMBER`"},
			&cli.StringFlag{Name: "images", Usage: "most names for images, a `NUMBER`"},
			&cli.StringFlag{Name: "rules", Usage: "most firewall rules, a `NUMBER`"},
		},
		Action: limitAccount,
	}
}

// limitField is one limit on the command line.
type limitField struct {
	flag string
	read func(string) (int64, error)
	show func(int64) string
}

func limitFields() []limitField {
	count := func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }
	plain := func(n int64) string { return fmt.Sprint(n) }
	sizes := func(n int64) string { return units.BytesSize(float64(n)) }
	cpus := func(text string) (int64, error) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, err
		}
		return inThousandths(n)
	}
	return []limitField{
		{"containers", count, plain}, {"memory", units.RAMInBytes, sizes},
		{"cpus", cpus, func(n int64) string { return fmt.Sprintf("%g", float64(n)/1000) }},
		{"disk", units.RAMInBytes, sizes}, {"networks", count, plain}, {"volumes", count, plain}, {"images", count, plain},
		{"rules", count, plain},
	}
}

// values are the limits in the order of limitFields.
func values(l model.AccountLimits) []int64 {
	return []int64{l.Containers, l.Memory, l.CPU, l.Disk, l.Networks, l.Volumes, l.Images, l.Rules}
}

func limitAccount(c *cli.Context) error {
	args, err := arguments(c, "LOGIN")
	if err != nil {
		return err
	}
	var change adminapi.LimitChange
	changes := false
	into := []**int64{&change.Containers, &change.Memory, &change.CPU, &change.Disk, &change.Networks, &change.Volumes, &change.Images, &change.Rules}
	for i, field := range limitFields() {
		if !c.IsSet(field.flag) {
			continue
		}
		value, err := readLimit(field, c.String(field.flag))
		if err != nil {
			return err
		}
		*into[i], changes = &value, true
	}
	return operator(c, func(head *adminapi.Client) error {
		use, err := head.Limits(c.Context, args[0])
		if changes && err == nil {
			use, err = head.ChangeLimits(c.Context, args[0], change)
		}
		if err != nil {
			return err
		}
		return printLimits(c, use.Limits, use.Used)
	})
}

func readLimit(field limitField, text string) (int64, error) {
	switch text {
	case wordUnlimited:
		return model.Unlimited, nil
	case wordNone:
		return model.NoneAllowed, nil
	}
	value, err := field.read(text)
	if err != nil || value <= 0 {
		return 0, usageErrorf("--%s %s: use a number above 0, %s, or %s", field.flag, text, wordUnlimited, wordNone)
	}
	return value, nil
}

func printLimits(c *cli.Context, most, have model.AccountLimits) error {
	limits, used := values(most), values(have)
	rows := newTable(c.App.Writer, "WHAT", "USED", "LIMIT")
	for i, field := range limitFields() {
		limit := wordUnlimited
		switch {
		case limits[i] == model.NoneAllowed:
			limit = wordNone
		case limits[i] != model.Unlimited:
			limit = field.show(limits[i])
		}
		rows.add(field.flag, field.show(used[i]), limit)
	}
	return rows.print()
}
