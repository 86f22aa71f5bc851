package raftstore

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// openSingle opens the store of a single head in dir.
func openSingle(tb testing.TB, dir string) (*Store, error) {
	tb.Helper()
	s, err := Open(tb.Context(), Config{Dir: dir, ID: "head-1", Bind: "head-1:1", Bootstrap: true})
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() { s.Close() })
	return s, nil
}

func mustOpen(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := openSingle(tb, dir)
	if err != nil {
		tb.Fatal(err)
	}
	waitReady(tb, s)
	return s
}

func waitReady(tb testing.TB, s *Store) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		tb.Fatal(err)
	}
}

func mustPropose(tb testing.TB, s *Store, commands ...command.Command) Result {
	tb.Helper()
	var last Result
	for _, c := range commands {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var err error
		last, err = s.Propose(ctx, c)
		cancel()
		if err != nil {
			tb.Fatalf("cannot propose %T: %v", c, err)
		}
	}
	return last
}

func account(n int) command.CreateAccount {
	return command.CreateAccount{Account: model.Account{
		ID: fmt.Sprintf("account-%d", n), Login: fmt.Sprintf("user%d", n), Policy: model.PolicyTenant, Created: epoch,
	}}
}

func node() command.PutNode {
	return command.PutNode{Node: model.Node{
		ID: "node-1", Name: "n1", Approved: true, Joined: epoch,
		Info: model.NodeInfo{Hostname: "n1", Capacity: model.Resources{Memory: 1 << 60, CPU: 1 << 50, Disk: 1 << 60}},
	}}
}

func network() command.PutNetwork {
	return command.PutNetwork{Network: model.Network{
		ID: "net-1", Name: "external", Kind: model.NetworkExternal, NICTag: "external", Default: true,
		Subnet: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("10.0.0.1"),
		First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.255.255.254"),
	}}
}

func container(n int) command.ReserveContainer {
	addr := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}).Next().Next()
	return command.ReserveContainer{Container: model.Container{
		ID: fmt.Sprintf("%064x", n), Name: fmt.Sprintf("container-%d", n), AccountID: fmt.Sprintf("account-%d", n%10),
		NodeID: "node-1", Created: epoch.Add(time.Duration(n) * time.Second), Package: "small",
		Operation: fmt.Sprintf("operation-%d", n),
		Reserved:  model.Resources{Memory: 128 << 20, CPU: 100, Disk: 1 << 30},
		Spec: model.ContainerSpec{
			Image: "busybox", ImageID: "sha256:1", Hostname: "h", Cmd: []string{"sleep", "1000"},
			Env: []string{"PATH=/bin:/usr/bin", "HOME=/root"}, Labels: map[string]string{"app": "web"},
		},
		NICs: []model.NIC{{
			NetworkID: "net-1", Interface: "eth0", MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", n>>16&255, n>>8&255, n&255),
			Address: netip.PrefixFrom(addr, 8), Gateway: netip.MustParseAddr("10.0.0.1"), Primary: true,
		}},
	}}
}

// stateHash fails the test if there is none.
func stateHash(tb testing.TB, s *Store) string {
	tb.Helper()
	h, err := s.View().Hash()
	if err != nil {
		tb.Fatal(err)
	}
	return h
}
