package images

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what the use cases need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Changed() <-chan struct{}
}

// Agents are the nodes as this head sees them; see package nodes.
type Agents interface {
	Agent(nodeID string) wire.Agent
	Connected(nodeID string) bool
}

// Config is what a Service stands on.
type Config struct {
	Store  Store
	Agents Agents
	// Registries are those that a login may reach by plain HTTP and at any
	// address.
	Registries model.InsecureRegistries
	// RegistryCerts is the folder of private registries' authorities, for
	// logins; see package registrycerts. "" is none.
	RegistryCerts string
	// Forbidden reports addresses of the data center's own machines, which no
	// account may make a head connect to.
	Forbidden func(netip.Addr) bool
	// Holders is how many nodes hold what an account names, at most MaxHolders;
	// 0 is DefaultHolders.
	Holders int
	// Leads reports whether this head leads: only then may it let nodes forget
	// images. nil is a head that is alone.
	Leads func() bool
	// Others lets nothing begin on the other heads that brings an image to a
	// node, as Hold does here, and sees to it that the Store shows what they
	// have brought; nil is a head that is alone.
	Others func(ctx context.Context) (arriving []string, release func(), err error)
	// Load returns what a node last told of itself; nil knows of none.
	Load   func(nodeID string) (model.NodeLoad, bool)
	Logger *slog.Logger
}

// Service does what is asked of images. It implements dockerapi.Images,
// ImagePruner, Transfers and Registries, for any number of goroutines.
type Service struct {
	store  Store
	agents Agents
	log    *slog.Logger
	logins loginClient

	holders int
	load    func(nodeID string) (model.NodeLoad, bool)
	leads   func() bool
	others  func(ctx context.Context) (arriving []string, release func(), err error)

	// bytes is held for reading while a pull of this head is under way and for
	// writing, on all heads, while the leader lets nodes forget images, so that
	// no image is forgotten between its arrival on a node and its name.
	bytes    sync.RWMutex
	debts    debts
	arrivals arrivals
}

var (
	_ dockerapi.Images      = (*Service)(nil)
	_ dockerapi.ImagePruner = (*Service)(nil)
	_ dockerapi.Transfers   = (*Service)(nil)
	_ dockerapi.Registries  = (*Service)(nil)
)

// New returns a Service.
func New(c Config) *Service {
	return &Service{
		store: c.Store, agents: c.Agents, log: c.Logger,
		logins:  loginClient{insecure: c.Registries, certsDir: c.RegistryCerts, forbidden: c.Forbidden},
		holders: cmp.Or(c.Holders, DefaultHolders), load: c.Load, leads: c.Leads, others: c.Others,
	}
}

// Get implements dockerapi.Images.
func (s *Service) Get(_ context.Context, a model.Account, ref string) (dockerapi.Image, error) {
	v := s.store.View()
	img, err := Find(v, a.ID, ref)
	if err != nil {
		return dockerapi.Image{}, err
	}
	return ofAccount(v, a.ID, img), nil
}

// ofAccount adds to an image what the account has to do with it.
func ofAccount(v *state.View, accountID string, img model.Image) dockerapi.Image {
	out := dockerapi.Image{Image: img, Names: namesOf(v, accountID, img.ID)}
	out.Containers = len(usersOf(v, accountID, img.ID))
	return out
}

// namesOf lists the names that an account has for an image. An image that was
// made without one has none, and is the account's all the same.
func namesOf(v *state.View, accountID, imageID string) []model.ImageName {
	var names []model.ImageName
	for _, n := range v.NamesOfImage(imageID) {
		if n.AccountID == accountID && !nameless(*n) {
			names = append(names, *n)
		}
	}
	slices.SortFunc(names, func(a, b model.ImageName) int { return strings.Compare(a.Ref, b.Ref) })
	return names
}

func usersOf(v *state.View, accountID, imageID string) []*model.Container {
	var own []*model.Container
	for _, c := range v.ContainersOfImage(imageID) {
		if c.AccountID == accountID {
			own = append(own, c)
		}
	}
	return own
}

// List implements dockerapi.Images: the account's images, newest first.
func (s *Service) List(_ context.Context, a model.Account) ([]dockerapi.Image, error) {
	v := s.store.View()
	seen := map[string]bool{}
	var out []dockerapi.Image
	for _, n := range v.ImageNames(a.ID) {
		if seen[n.ImageID] {
			continue
		}
		seen[n.ImageID] = true
		if img, ok := v.Image(n.ImageID); ok {
			out = append(out, ofAccount(v, a.ID, img))
		}
	}
	slices.SortStableFunc(out, func(x, y dockerapi.Image) int {
		return cmp.Or(y.Created.Compare(x.Created), strings.Compare(x.ID, y.ID))
	})
	return out, nil
}

// Tag implements dockerapi.Images. An empty tag is latest.
func (s *Service) Tag(ctx context.Context, a model.Account, ref, repo, tag string) error {
	v := s.store.View()
	img, err := Find(v, a.ID, ref)
	if err != nil {
		return err
	}
	if strings.Contains(repo, "@") {
		return model.Errorf(model.KindInvalid, "refusing to create a tag with a digest reference")
	}
	if tag != "" {
		repo += ":" + tag
	}
	named, err := parse(repo)
	if err != nil {
		return model.Errorf(model.KindInvalid, "invalid reference format: %q cannot name an image", repo)
	}
	name := model.ImageName{AccountID: a.ID, Ref: named.String(), ImageID: img.ID, Updated: time.Now().UTC()}
	if err := checkName(name.Ref); err != nil {
		return err
	}
	if err := s.keepUnnamed(ctx, v, a.ID, name.Ref, img.ID); err != nil {
		return err
	}
	img.Holders = nil // those that the state knows stay
	_, err = s.store.Propose(ctx, command.PutImage{Image: img, Name: name, Action: command.ActionTag, Time: name.Updated})
	return err
}
