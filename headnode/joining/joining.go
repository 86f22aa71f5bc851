package joining

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is what joining needs of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
}

// Config is what a Service stands on.
type Config struct {
	Store      Store
	CA         *pki.CA
	DataCenter string // its name
	// GossipKeys are the ring's as this head has them, and GossipJoin members
	// of it that are likely up.
	GossipKeys func() [][]byte
	GossipJoin func() []string
	Logger     *slog.Logger
}

// Service lets machines join. It is safe for concurrent use.
type Service struct{ Config }

// New returns a handler that serves join.Path and leaves everything else to
// next.
func New(c Config, next http.Handler) http.Handler {
	return &handler{service: &Service{c}, limit: &limit{now: time.Now}, log: c.Logger, next: next}
}

var machineName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}$`)

// maxHosts bounds the names and addresses of a head.
const maxHosts = 32

// Join carries out a request that came from an address.
func (s *Service) Join(ctx context.Context, r join.Request, from netip.Addr) (join.Answer, error) {
	if !machineName.MatchString(r.Name) {
		return join.Answer{}, model.Errorf(model.KindInvalid, "invalid machine name %.70q: use a host name", r.Name)
	}
	key, err := pki.RequestKey(r.CSR)
	if err != nil {
		return join.Answer{}, model.WrapError(model.KindInvalid, err, "the request for a certificate is damaged")
	}
	use := command.UseToken{
		ID: r.Token, Hash: model.HashSecret(r.Secret), Key: key, Machine: model.NewID()[:32], Time: time.Now().UTC(),
	}
	switch r.Role {
	case model.RoleNode:
		return s.node(ctx, r, use, from)
	case model.RoleHead:
		return s.head(ctx, r, use)
	}
	return join.Answer{}, model.Errorf(model.KindInvalid, "machines join as head or node, not as %.20q", r.Role)
}

// used has the state judge the token and returns the machine's id.
func (s *Service) used(ctx context.Context, use command.UseToken) (string, error) {
	if _, err := s.Store.Propose(ctx, use); err != nil {
		return "", err
	}
	token, ok := s.Store.View().Token(use.ID)
	if !ok || token.Key != use.Key {
		return "", model.Errorf(model.KindUnavailable, "the token was taken back meanwhile")
	}
	return token.Machine, nil
}

func (s *Service) node(ctx context.Context, r join.Request, use command.UseToken, from netip.Addr) (join.Answer, error) {
	address, err := nodeAddress(r.Address, from)
	if err != nil {
		return join.Answer{}, err
	}
	use.Node = &model.Node{Name: r.Name, Address: address}
	if r.Inventory != nil {
		inventory := r.Inventory.Bounded()
		use.Node.Inventory = &inventory
	}
	id, err := s.used(ctx, use)
	if err != nil {
		return join.Answer{}, err
	}
	n, ok := s.Store.View().Node(id)
	if !ok {
		return join.Answer{}, model.Errorf(model.KindForbidden, "an operator has removed this machine; make another token with: spearhead token create --role node")
	}
	answer := join.Answer{ID: id, Address: n.Address, DataCenter: s.DataCenter}
	if !n.Approved {
		answer.Pending = true
		return answer, nil
	}
	host, _, err := net.SplitHostPort(n.Address)
	if err != nil {
		return join.Answer{}, err
	}
	s.Logger.Info("a node has joined", slog.String("op", "join"), slog.String("node", n.Name), slog.String("id", id))
	return s.welcome(answer, r.CSR, pki.RoleNode, []string{host, n.Name})
}

func (s *Service) head(ctx context.Context, r join.Request, use command.UseToken) (join.Answer, error) {
	if len(r.Hosts) == 0 || len(r.Hosts) > maxHosts {
		return join.Answer{}, model.Errorf(model.KindInvalid, "a head names 1 to %d names and addresses at which it is reached", maxHosts)
	}
	id, err := s.used(ctx, use)
	if err != nil {
		return join.Answer{}, err
	}
	v := s.Store.View()
	if v.HeadRemoved(id) {
		return join.Answer{}, model.Errorf(model.KindForbidden, "an operator has removed this head; make another token with: spearhead token create --role head")
	}
	answer := join.Answer{ID: id, DataCenter: s.DataCenter}
	for _, h := range v.Heads() {
		answer.Heads = append(answer.Heads, *h)
	}
	if len(answer.Heads) == 0 {
		return join.Answer{}, model.Errorf(model.KindUnavailable, "the heads do not know each other's addresses yet; try again in a moment")
	}
	if answer.CAKey, err = s.CA.Key(); err != nil {
		return join.Answer{}, err
	}
	s.Logger.Info("a head has joined", slog.String("op", "join"), slog.String("head", r.Name), slog.String("id", id))
	return s.welcome(answer, r.CSR, pki.RoleHead, r.Hosts)
}

// welcome adds what every member gets.
func (s *Service) welcome(a join.Answer, csr []byte, role pki.Role, hosts []string) (join.Answer, error) {
	cert, err := s.CA.Sign(csr, role, a.ID, hosts, time.Now())
	if err != nil {
		return join.Answer{}, model.WrapError(model.KindInvalid, err, "cannot sign the machine's certificate: its name or address cannot be part of one")
	}
	a.Certificate, a.CA, a.Label = cert, s.CA.Certificate(), s.CA.DataCenter()
	a.GossipKeys, a.GossipJoin = s.GossipKeys(), slices.Compact(s.GossipJoin())
	return a, nil
}

// nodeAddress is where heads will dial the node: as it says itself, and where
// that has no host, where its request came from.
func nodeAddress(said string, from netip.Addr) (string, error) {
	host, port, err := net.SplitHostPort(said)
	if err != nil {
		return "", model.Errorf(model.KindInvalid, "invalid address of the agent %.80q: use host:port", said)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", model.Errorf(model.KindInvalid, "invalid port in the address of the agent %.80q", said)
	}
	if unspecified := net.ParseIP(host); host == "" || unspecified != nil && unspecified.IsUnspecified() {
		if !from.IsValid() {
			return "", model.Errorf(model.KindInvalid, "the address of the agent has no host; name it with --address")
		}
		host = from.String()
	}
	return net.JoinHostPort(host, port), nil
}
