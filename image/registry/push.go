package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// Source is a blob to upload. It can be read again from its beginning.
type Source interface {
	Read(p []byte) (int, error)
	Seek(offset int64, whence int) (int64, error)
}

// Placement tells how a registry came to have a blob or manifest.
type Placement struct {
	Existed     bool   // it had it before
	MountedFrom string // the repository of the same registry that it was taken from
}

// SourceLabel begins the labels of content that tell what repositories it is
// in.
const SourceLabel = "containerd.io/distribution.source."

// KnownIn returns the label of content that came from ref's repository: a push
// to another repository of the same registry need not send it again.
func KnownIn(ref reference.Named) (key, value string) {
	return SourceLabel + model.RegistryHost(reference.Domain(ref)), reference.Path(ref)
}

// GivenBy returns the label of content that ref's registry, by its host and
// port, has given this node or was given by it.
func GivenBy(ref reference.Named) string { return "spearhead/given-by." + reference.Domain(ref) }

// Push sends a blob, or a manifest to be known by the client's reference,
// unless the registry has it. desc.Annotations are the labels of the content
// (KnownIn): the registry may take it from a repository named there. uploaded
// is called once all bytes are sent and the registry's answer is awaited.
func (c *Client) Push(ctx context.Context, desc ocispec.Descriptor, source Source, uploaded func()) (Placement, error) {
	place, err := c.push(ctx, desc, source, uploaded)
	var status remoteerrors.ErrUnexpectedStatus
	if len(desc.Annotations) > 0 && (errors.As(err, &status) || errors.Is(err, docker.ErrInvalidAuthorization)) {
		// Some token servers refuse a request that names a repository which
		// the user may not read, instead of granting the rest.
		desc.Annotations = nil
		place, err = c.push(ctx, desc, source, uploaded)
	}
	if err != nil {
		return Placement{}, c.Explain(err)
	}
	return place, nil
}

func (c *Client) push(ctx context.Context, desc ocispec.Descriptor, source Source, uploaded func()) (Placement, error) {
	ctx, cancel := context.WithCancel(c.quiet(ctx))
	defer cancel() // ends the library's request, whatever became of the writer
	pusher, err := c.resolver.Pusher(ctx, c.ref.String())
	if err != nil {
		return Placement{}, fmt.Errorf("cannot push %s: %w", desc.Digest, err)
	}
	writer, err := pusher.Push(ctx, desc)
	if errdefs.IsAlreadyExists(err) {
		return c.placement(ctx, desc)
	}
	if err != nil {
		return Placement{}, err //nolint:wrapcheck // Explain does
	}
	defer writer.Close()
	if _, err := source.Seek(0, 0); err != nil {
		return Placement{}, fmt.Errorf("cannot read %s: %w", desc.Digest, err)
	}
	err = content.Copy(ctx, announcing{writer, uploaded}, source, desc.Size, desc.Digest)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return Placement{}, err //nolint:wrapcheck // Explain does
	}
	return Placement{}, nil
}

// placement reads what the library noted of content that was not sent.
func (c *Client) placement(ctx context.Context, desc ocispec.Descriptor) (Placement, error) {
	status, err := c.tracker.GetStatus(remotes.MakeRefKey(ctx, desc))
	if err != nil {
		return Placement{}, fmt.Errorf("cannot tell how the registry has %s: %w", desc.Digest, err)
	}
	from, _ := strings.CutPrefix(status.MountedFrom, reference.Domain(c.ref)+"/")
	return Placement{Existed: from == "", MountedFrom: from}, nil
}

// announcing tells when all bytes of a blob were sent.
type announcing struct {
	content.Writer
	uploaded func()
}

// Commit implements content.Writer.
func (a announcing) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	a.uploaded()
	return a.Writer.Commit(ctx, size, expected, opts...) //nolint:wrapcheck // Explain does
}
