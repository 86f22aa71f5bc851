package dockerapi

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Transfers carries images to registries, and as archives to and from clients.
// The bytes of images pass through; they are never kept.
type Transfers interface {
	// Push sends r.Ref to its registry or, if it has no tag, all tags that the
	// account has of that repository. step is called from one goroutine.
	Push(ctx context.Context, a model.Account, r PushRequest, step func(PushStep)) error
	// Save returns images as one archive. A repository without a tag is all of
	// its tags. The caller closes it.
	Save(ctx context.Context, a model.Account, refs []string, platform string) (io.ReadCloser, error)
	// Load takes the images of an archive; their names become the account's.
	// step is called from one goroutine. What was taken before an error stays.
	Load(ctx context.Context, a model.Account, r LoadRequest, tar io.Reader, step func(LoadStep)) error
	// Import makes an image of a root's archive and returns its id.
	Import(ctx context.Context, a model.Account, r ImportRequest, tar io.Reader) (string, error)
}

// Registries asks registries for what they have, with the credentials that came
// with the request.
type Registries interface {
	// Tags lists the tags of a normalized reference's repository, sorted.
	Tags(ctx context.Context, a model.Account, ref string, auth wire.RegistryAuth) ([]string, error)
	// Resolve tells what a normalized reference points to.
	Resolve(ctx context.Context, a model.Account, ref string, auth wire.RegistryAuth) (wire.ResolvedImage, error)
	Search(ctx context.Context, a model.Account, r wire.SearchRequest) ([]wire.FoundImage, error)
	// Login checks credentials. Where the registry gives an identity token for
	// them, clients keep that in the place of the password.
	Login(ctx context.Context, a model.Account, server string, auth wire.RegistryAuth) (identityToken string, err error)
}

// PushRequest is a push as the API decoded it.
type PushRequest struct {
	Ref      string // normalized; without a tag, it is all tags
	Platform string // os/arch[/variant]; "" is the image's
	Auth     wire.RegistryAuth
}

// PushStep is progress with a layer or, if Tag is not empty, the end of one tag's push.
type PushStep struct {
	wire.PullProgress
	Tag    string
	Pushed wire.PushedImage
}

// LoadRequest says what to take of an archive.
type LoadRequest struct {
	Platform string // os/arch[/variant]; "" is what the node can run
}

// LoadStep is progress with a layer or, if ID is not empty, an image that the
// account has now.
type LoadStep struct {
	wire.PullProgress
	ID    string
	Names []string // as users write them
}

// ImportRequest says what an imported image is called and says of itself.
type ImportRequest struct {
	Name     string // normalized, with a tag; "" makes an image without a name
	Message  string
	Platform string   // os/arch[/variant]; "" is the node's
	Changes  []string // Dockerfile instructions
}
