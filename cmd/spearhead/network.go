package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func networkCommand() *cli.Command {
	return sidedGroup(cli.Command{
		Name:  "network",
		Usage: "networks that give containers their addresses",
		Subcommands: []*cli.Command{
			{
				Name:      "create",
				Usage:     "describe an external network, or describe one anew",
				ArgsUsage: "NAME",
				Description: "Containers on it have addresses of a physical network: that of the nodes' NIC with the\n" +
					"tag (nic_tags in agent.toml) and the VLAN. Only addresses from --first to --last are given out.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "nic-tag", Usage: "the physical network's `TAG`"},
					&cli.UintFlag{Name: "vlan", Usage: "its VLAN `ID`; 0 is untagged"},
					&cli.StringFlag{Name: "subnet", Usage: "its addresses, `ADDRESS/BITS`"},
					&cli.StringFlag{Name: "gateway", Usage: "the `ADDRESS` of its router"},
					&cli.StringFlag{Name: "first", Usage: "first `ADDRESS` that is given out"},
					&cli.StringFlag{Name: "last", Usage: "last `ADDRESS` that is given out"},
					&cli.StringSliceFlag{Name: "resolver", Usage: "`ADDRESS` of a name server; may be repeated"},
					&cli.IntFlag{Name: "mtu", Usage: "largest packet in `BYTES`; 0 is the NIC's"},
					&cli.StringFlag{Name: "subnet6", Usage: "its IPv6 addresses, `ADDRESS/BITS`"},
					&cli.StringFlag{Name: "gateway6", Usage: "the IPv6 `ADDRESS` of its router; the first one of the subnet without it"},
					&cli.StringFlag{Name: "first6", Usage: "first IPv6 `ADDRESS` that is given out; without it, the first of the subnet"},
					&cli.StringFlag{Name: "last6", Usage: "last IPv6 `ADDRESS` that is given out; without it, the last of the subnet"},
					&cli.StringSliceFlag{Name: "route", Usage: "`SUBNET=ADDRESS`: a network that is reached by this address of the subnet; may be repeated"},
					&cli.StringSliceFlag{Name: "account", Usage: "only the account with this `LOGIN` may use it; may be repeated"},
					&cli.BoolFlag{Name: "default", Usage: "containers that name no network get this one"},
				},
				Action: createNetwork,
			},
			{Name: "ls", Usage: "list the networks that your containers may be on; an operator sees all", Action: listNetworks},
			{Name: "rm", Usage: "remove a network that nothing is on", ArgsUsage: "NAME", Action: removeNetwork},
			networkPoolCommands(),
			publishCommand(),
		},
	}, "create", "rm", "publish")
}

func createNetwork(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := require(c, "nic-tag", "subnet", "gateway", "first", "last"); err != nil {
		return err
	}
	network, err := networkFromFlags(c, args[0])
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		made, err := head.PutNetwork(c.Context, network)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "network %s: %s on %s\n", made.Name, made.Subnet, made.NICTag)
		return err
	})
}

// networkFromFlags parses; whether the values fit together is the head's to judge.
func networkFromFlags(c *cli.Context, name string) (model.Network, error) {
	if c.Uint("vlan") > 4094 {
		return model.Network{}, usageErrorf("--vlan %d: a VLAN is a number up to 4094", c.Uint("vlan"))
	}
	network := model.Network{
		Name: name, Kind: model.NetworkExternal, NICTag: c.String("nic-tag"),
		VLAN: uint16(c.Uint("vlan")), MTU: c.Int("mtu"), Default: c.Bool("default"),
	}
	subnet, err := netip.ParsePrefix(c.String("subnet"))
	if err != nil {
		return model.Network{}, usageErrorf("--subnet %s is not ADDRESS/BITS", c.String("subnet"))
	}
	network.Subnet = subnet.Masked()
	if text := c.String("subnet6"); text != "" {
		if network.Subnet6, err = netip.ParsePrefix(text); err != nil {
			return model.Network{}, usageErrorf("--subnet6 %s is not ADDRESS/BITS", text)
		}
	}
	if err := addressesFromFlags(c, &network); err != nil {
		return model.Network{}, err
	}
	network.Accounts = c.StringSlice("account")
	for _, text := range c.StringSlice("resolver") {
		resolver, err := netip.ParseAddr(text)
		if err != nil {
			return model.Network{}, usageErrorf("--resolver %s is not an address", text)
		}
		network.Resolvers = append(network.Resolvers, resolver)
	}
	return network, nil
}

// addressesFromFlags parses those that are one of a network's.
func addressesFromFlags(c *cli.Context, network *model.Network) (err error) {
	for _, field := range []struct {
		flag string
		into *netip.Addr
	}{
		{"gateway", &network.Gateway}, {"first", &network.First}, {"last", &network.Last},
		{"gateway6", &network.Gateway6}, {"first6", &network.First6}, {"last6", &network.Last6},
	} {
		text := c.String(field.flag)
		if text == "" {
			continue // require has seen to those that must be there
		}
		if *field.into, err = netip.ParseAddr(text); err != nil {
			return usageErrorf("--%s %s is not an address", field.flag, text)
		}
	}
	for _, text := range c.StringSlice("route") {
		to, via, ok := strings.Cut(text, "=")
		route := model.Route{}
		if route.To, err = netip.ParsePrefix(to); err == nil {
			route.Via, err = netip.ParseAddr(via)
		}
		if !ok || err != nil {
			return usageErrorf("--route %s is not ADDRESS/BITS=ADDRESS", text)
		}
		network.Routes = append(network.Routes, route)
	}
	return nil
}

func listNetworks(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		networks, err := own.Networks(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "NAME", "KIND", "OWN", "SUBNETS", "GATEWAYS", "DEFAULT")
		for _, n := range networks {
			rows.add(n.Name, n.Kind, yes(n.Own), strings.Join(n.Subnets, ", "), strings.Join(n.Gateways, ", "), yes(n.Default))
		}
		return rows.print()
	}, func(head *adminapi.Client) error { return listAllNetworks(c, head) })
}

func listAllNetworks(c *cli.Context, head *adminapi.Client) error {
	networks, err := head.Networks(c.Context)
	if err != nil {
		return err
	}
	accounts, err := head.Accounts(c.Context)
	if err != nil {
		return err
	}
	logins := map[string]string{}
	for _, a := range accounts {
		logins[a.ID] = a.Login
	}
	rows := newTable(c.App.Writer, "NAME", "KIND", "ACCOUNT", "NIC TAG", "VLAN OR VNI", "SUBNET", "GATEWAY", "GIVEN OUT", "DEFAULT")
	for _, n := range networks {
		wire := uint32(n.VLAN)
		if n.Kind == model.NetworkFabric {
			wire = n.VNI
		}
		rows.add(n.Name, n.Kind, logins[n.AccountID], n.NICTag, wire, n.Subnet, n.Gateway, fmt.Sprintf("%s to %s", n.First, n.Last), yes(n.Default))
	}
	return rows.print()
}

func removeNetwork(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveNetwork(c.Context, args[0]) })
}

// yes marks a row of a table.
func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}
