package build

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what builds need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
}

// Agents are the nodes as this head sees them; see package nodes.
type Agents interface {
	Agent(nodeID string) wire.Agent
	Connected(nodeID string) bool
}

// Images is where what was built becomes an account's.
type Images interface {
	Adopt(ctx context.Context, accountID, nodeID, name string, made func() (model.Image, error)) (model.Image, error)
}

// Fabrics makes networks for accounts.
type Fabrics interface {
	// EnsureDefault makes sure that the account has a network for what names
	// none.
	EnsureDefault(ctx context.Context, a model.Account) error
}

// Config is what a Service stands on.
type Config struct {
	Store  Store
	Agents Agents
	Images Images
	// Fabrics makes the default network of an account that needs one; nil
	// makes none.
	Fabrics Fabrics
	// Load returns what a node last told of itself; nil knows of none.
	Load func(nodeID string) (model.NodeLoad, bool)
	// SpoolDir is for contexts of builds while they are under way, in files
	// without a name; "" is the machine's folder for such files.
	SpoolDir string
	Logger   *slog.Logger
}

// Service does what is asked of builds. It implements dockerapi.Builds, for
// any number of goroutines.
type Service struct {
	Config

	mu      sync.Mutex
	running map[string]context.CancelFunc // builds that have an id, by account and id
}

var _ dockerapi.Builds = (*Service)(nil)

// New returns a Service.
func New(c Config) *Service {
	return &Service{Config: c, running: map[string]context.CancelFunc{}}
}

// defaultPackage is what builders have the size of.
func defaultPackage(v *state.View) (*model.Package, error) {
	for _, p := range v.Packages() {
		if p.Default {
			return p, nil
		}
	}
	return nil, model.Errorf(model.KindUnavailable, "there is no default package, whose limits builds would have; the operator has to make one")
}

// limitsOf are the limits of a package.
func limitsOf(p *model.Package) model.Limits {
	l := model.Limits{Memory: p.Memory, CPUShares: p.CPUShares, Pids: p.Pids}
	if p.Memory > 0 {
		l.MemorySwap = p.Memory + p.Swap
	}
	if p.CPUCap > 0 {
		l.CPUPeriod = 100_000
		l.CPUQuota = p.CPUCap * l.CPUPeriod / 1000
	}
	return l
}

// request says what an account's builder is to be.
func request(v *state.View, a model.Account, pkg *model.Package, home model.Builder) wire.BuilderRequest {
	r := wire.BuilderRequest{
		Account: wire.AccountRef{ID: a.ID, Login: a.Login, Policy: a.Policy},
		Limits:  limitsOf(pkg),
		NICs:    home.NICs,
		Images:  baseImages(v, a.ID),
	}
	for _, nic := range home.NICs {
		if n, ok := v.Network(nic.NetworkID); ok {
			r.Networks = append(r.Networks, n)
		}
	}
	return r
}

// baseImages are the images that an account's builds may begin with.
func baseImages(v *state.View, accountID string) []wire.BaseImage {
	var all []wire.BaseImage
	for _, n := range v.ImageNames(accountID) {
		img, ok := v.Image(n.ImageID)
		if !ok {
			continue
		}
		base := wire.BaseImage{Ref: n.Ref, Image: img}
		for _, id := range img.Holders {
			if node, ok := v.Node(id); ok {
				base.Holders = append(base.Holders, wire.Holder{NodeID: id, Address: node.Address})
			}
		}
		if named, err := reference.ParseNormalizedNamed(n.Ref); err == nil && n.Digest != "" {
			base.Source = named.Name() + "@" + n.Digest
		}
		// The builder reads these from the image itself.
		base.Image.Config, base.Image.History, base.Image.Holders = model.ImageConfig{}, nil, nil
		all = append(all, base)
	}
	slices.SortFunc(all, func(x, y wire.BaseImage) int { return strings.Compare(x.Ref, y.Ref) })
	return all
}

// adopt gives an account what its builder has made, under each of the names,
// or without one.
func (s *Service) adopt(ctx context.Context, b *builder, digest string, names []string) (model.Image, error) {
	var img model.Image
	if len(names) == 0 {
		names = []string{""}
	}
	for i, name := range names {
		var err error
		img, err = s.Images.Adopt(ctx, b.account.ID, b.nodeID, name, func() (model.Image, error) {
			if i > 0 {
				return img, nil
			}
			return b.agent.TakeBuilt(ctx, wire.BuiltRequest{AccountID: b.account.ID, Digest: digest})
		})
		if err != nil {
			return img, err
		}
	}
	return img, nil
}

// checkName normalizes the name that an image is to have.
func checkName(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", model.Errorf(model.KindInvalid, "invalid argument %q for \"-t, --tag\" flag: invalid reference format", name)
	}
	if _, ok := named.(reference.Digested); ok {
		return "", model.Errorf(model.KindInvalid, "build tag cannot contain a digest")
	}
	return reference.TagNameOnly(named).String(), nil
}
