package wire

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
)

// ImageStore is what a head can ask of a node's images beside pulling them.
type ImageStore interface {
	// PushImage sends an image that the node holds to a registry. Progress
	// arrives on the stream; the last message holds what was pushed or the error.
	PushImage(ctx context.Context, r PushRequest) (PushStream, error)
	// CopyImage makes the node hold an image that other nodes hold, byte for
	// byte. Blobs come from holders, several at once, each digest checked;
	// what no holder gives is asked of the registry, if r names one. The
	// stream is that of a pull.
	CopyImage(ctx context.Context, r CopyRequest) (PullStream, error)
	// SaveImages returns images as one archive in the form of docker save:
	// an OCI layout with a manifest.json.
	SaveImages(ctx context.Context, r SaveRequest) (io.ReadCloser, error)
	// LoadImages takes such an archive, or an older one of Docker's, also
	// compressed. Each image is a message; the last one holds an error or
	// nothing.
	LoadImages(ctx context.Context, r LoadRequest, tar io.Reader) (LoadStream, error)
	// ImportImage makes an image of one layer from a tar archive of a root,
	// which may be compressed.
	ImportImage(ctx context.Context, r ImportRequest, tar io.Reader) (model.Image, error)
	// ResolveImage asks a registry what a name points to, without fetching it.
	ResolveImage(ctx context.Context, r PullRequest) (ResolvedImage, error)
	// ListTags asks a registry for all tags of r.Ref's repository.
	ListTags(ctx context.Context, r PullRequest) ([]string, error)
	// SearchImages asks a registry's search, where it has one.
	SearchImages(ctx context.Context, r SearchRequest) ([]FoundImage, error)
	// ShedImage makes room on a node whose disk is nearly full: first it gives up
	// what interrupted pulls left, then the packed layers of an image that it
	// holds unpacked, as far as r's holders have them. It tells how many bytes
	// of those became free.
	ShedImage(ctx context.Context, r CopyRequest) (int64, error)
	// ImageUsage tells how much disk the node's image content takes, by the
	// digest of each blob and the chain id of each unpacked layer.
	ImageUsage(ctx context.Context) (ImageUsage, error)
}

// Peer is what a node can ask of another node: content by digest, and nothing
// else.
type Peer interface {
	// Blob streams content from an offset on; KindNotFound if the node does
	// not hold it whole.
	Blob(ctx context.Context, digest string, offset int64) (Blob, error)
}

// Blob is content while it is sent.
type Blob struct {
	Size int64 // of the whole blob, wherever the stream begins
	io.ReadCloser
}

// Holder is a node that holds an image, and where its agent is reached.
type Holder struct {
	NodeID  string `json:"node_id"`
	Address string `json:"address"` // host:port
}

// PushRequest says what to push and under which name.
type PushRequest struct {
	ImageID string       `json:"image_id"`
	Ref     string       `json:"ref"` // normalized, with a tag
	Auth    RegistryAuth `json:"auth"`
}

// PushMessage is one step of a push. Exactly one of its parts is set; none is
// a sign of life.
type PushMessage struct {
	Progress *PullProgress `json:"progress,omitempty"` // "Preparing", "Waiting", "Pushing", "Pushed", "Layer already exists", "Mounted from …"
	Pushed   *PushedImage  `json:"pushed,omitempty"`   // the end, successful
	Error    *ErrorBody    `json:"error,omitempty"`    // the end, failed
}

// PushedImage is what a registry now has under the name.
type PushedImage struct {
	Digest string `json:"digest"` // of the manifest
	Size   int64  `json:"size"`   // of the manifest, bytes
}

// PushStream is read until it returns io.EOF. Closing it early ends the push.
type PushStream interface {
	Next() (PushMessage, error)
	io.Closer
}

// CopyRequest names an image and who holds it.
type CopyRequest struct {
	Image   model.Image `json:"image"`
	Holders []Holder    `json:"holders"`
	Ref     string      `json:"ref,omitempty"` // repository@digest to ask the registry for; "" asks none
}

// SaveRequest lists the images of an archive.
type SaveRequest struct {
	Images []SavedImage `json:"images"`
}

// SavedImage is an image and the names that the archive gives it.
type SavedImage struct {
	ImageID string   `json:"image_id"`
	Refs    []string `json:"refs,omitempty"` // normalized, with tags
}

// LoadRequest says what to take of an archive.
type LoadRequest struct {
	Platform string `json:"platform,omitempty"` // "" is the node's own, or the only one
}

// LoadMessage is one step of a load. Exactly one of its parts is set; none is
// a sign of life.
type LoadMessage struct {
	Progress *PullProgress `json:"progress,omitempty"`
	Image    *LoadedImage  `json:"image,omitempty"`
	Error    *ErrorBody    `json:"error,omitempty"` // the end, failed
}

// LoadedImage is an image of an archive and the names that it has there.
type LoadedImage struct {
	Image model.Image `json:"image"`
	Refs  []string    `json:"refs,omitempty"` // normalized, with tags
}

// LoadStream is read until it returns io.EOF. Closing it early ends the load.
type LoadStream interface {
	Next() (LoadMessage, error)
	io.Closer
}

// ImportRequest says what the imported image says of itself.
type ImportRequest struct {
	Config   model.ImageConfig `json:"config"`
	Comment  string            `json:"comment,omitempty"`
	Platform string            `json:"platform,omitempty"` // "" is the node's own
}

// ResolvedImage is what a registry has under a name.
type ResolvedImage struct {
	Digest    string     `json:"digest"`
	MediaType string     `json:"media_type"`
	Size      int64      `json:"size"` // of the manifest or index, bytes
	Platforms []Platform `json:"platforms"`
}

// Platform is what an image is built for.
type Platform struct {
	OS           string   `json:"os"`
	Architecture string   `json:"architecture"`
	Variant      string   `json:"variant,omitempty"`
	OSVersion    string   `json:"os_version,omitempty"`
	OSFeatures   []string `json:"os_features,omitempty"`
}

// SearchRequest is a search of a registry. Term may begin with the registry's
// name.
type SearchRequest struct {
	Term  string       `json:"term"`
	Limit int          `json:"limit,omitempty"` // 0 is 25
	Auth  RegistryAuth `json:"auth"`
}

// FoundImage is one result of a search.
type FoundImage struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Stars       int    `json:"stars,omitempty"`
	Official    bool   `json:"official,omitempty"`
	Automated   bool   `json:"automated,omitempty"`
}

// ImageUsage is what a node's images take of its disk, in bytes.
type ImageUsage struct {
	Blobs  map[string]int64 `json:"blobs,omitempty"`  // by digest
	Layers map[string]int64 `json:"layers,omitempty"` // unpacked, by chain id
}
