package adminapi

import (
	"cmp"
	"net"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}$`)

func (s *server) nodes(r *http.Request) ([]NodeStatus, error) {
	v, found := s.Store.View(), s.Findings(r.Context())
	out := []NodeStatus{}
	for _, n := range v.Nodes() {
		out = append(out, s.statusOfNode(v, n, found[n.ID]))
	}
	slices.SortFunc(out, func(a, b NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (s *server) statusOfNode(v *state.View, n *model.Node, found reconcile.Findings) NodeStatus {
	ns := NodeStatus{
		Node: *n, Promised: v.Promised(n.ID), Containers: len(v.ContainersOnNode(n.ID)),
		Orphans: found.Orphans, Missing: found.Missing,
	}
	ns.Connected, ns.Seen = s.Seen(n.ID)
	if load, ok := s.Load(n.ID); ok {
		ns.Load = &load
	}
	ns.Twin, _ = s.Twin(n.ID)
	return ns
}

func (s *server) enrollNode(r *http.Request) (join.Answer, error) {
	in, err := decode[EnrollRequest](r)
	if err != nil {
		return join.Answer{}, err
	}
	if !nodeName.MatchString(in.Name) {
		return join.Answer{}, model.Errorf(model.KindInvalid, "invalid node name %q: use a host name", in.Name)
	}
	host, _, err := net.SplitHostPort(in.Address)
	if err != nil || host == "" {
		return join.Answer{}, model.Errorf(model.KindInvalid, "invalid node address %q: use host:port", in.Address)
	}
	node := model.Node{ID: model.NewID()[:32], Name: in.Name, Joined: time.Now().UTC()}
	if known, ok := s.Store.View().NodeByName(in.Name); ok {
		node = known
	}
	node.Address, node.Approved, node.Overcommit, node.Labels = in.Address, true, in.Overcommit, in.Labels
	cert, err := s.CA.Sign(in.CSR, pki.RoleNode, node.ID, []string{host, in.Name}, time.Now())
	if err != nil {
		return join.Answer{}, model.WrapError(model.KindInvalid, err, "cannot sign the node's certificate request; make a new one")
	}
	if _, err := s.Store.Propose(r.Context(), command.PutNode{Node: node}); err != nil {
		return join.Answer{}, err
	}
	return join.Answer{
		ID: node.ID, Address: node.Address, DataCenter: s.DataCenter, Certificate: cert, CA: s.CA.Certificate(),
		GossipKeys: s.GossipKeys(), GossipJoin: s.GossipJoin(), Label: s.CA.DataCenter(),
	}, nil
}

func (s *server) status(*http.Request) (Status, error) {
	leader, _ := s.Store.Leader()
	raft := s.Store.Stats()
	st := Status{
		DataCenter: s.DataCenter, ClusterID: s.CA.DataCenter(), Name: s.Name, ID: s.ID, Version: s.Version,
		Leader: leader, IsLeader: s.Store.IsLeader(), Applied: s.Store.AppliedIndex(), DockerHost: s.DockerHost,
		Raft: RaftStatus{Role: raft.Role, Term: raft.Term, LastIndex: raft.LastIndex, CommitIndex: raft.CommitIndex, Heads: len(raft.Heads)},
	}
	for _, n := range s.Store.View().Nodes() {
		st.Nodes++
		if connected, _ := s.Seen(n.ID); connected {
			st.Connected++
		}
	}
	switch {
	case leader == "":
		st.Reason = "no leader is known: a majority of the heads must be up and reach each other"
	case st.Nodes == 0:
		st.Reason = "no node is enrolled"
	case st.IsLeader && st.Connected == 0:
		st.Reason = "no node is connected"
	default:
		st.Ready = true
	}
	return st, nil
}
