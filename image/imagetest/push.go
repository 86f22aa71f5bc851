package imagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PushTar pushes an image to a registry that speaks plain HTTP. name is
// "repository:tag". The layers' diff ids are put into config.
func PushTar(ctx context.Context, registry, name string, layers []Layer, config ocispec.Image) (ocispec.Descriptor, error) {
	repository, tag, ok := strings.Cut(name, ":")
	if !ok {
		return ocispec.Descriptor{}, fmt.Errorf("cannot push %q: no tag", name)
	}
	blobs, m, err := Assemble(layers, config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, blob := range blobs {
		if err := pushBlob(ctx, registry, repository, blob); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	return PushManifest(ctx, registry, repository, tag, ocispec.MediaTypeImageManifest, m)
}

// Assemble makes the blobs and the manifest of an image.
func Assemble(layers []Layer, config ocispec.Image) (blobs [][]byte, manifest []byte, err error) {
	config.RootFS = ocispec.RootFS{Type: "layers"}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		m.Layers = append(m.Layers, descriptor(layer.MediaType, layer.Blob))
		blobs = append(blobs, layer.Blob)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot encode configuration: %w", err)
	}
	m.Config = descriptor(ocispec.MediaTypeImageConfig, data)
	manifest, err = json.Marshal(m)
	return append(blobs, data), manifest, err
}

func descriptor(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// PushManifest pushes a manifest or index under a tag.
func PushManifest(ctx context.Context, registry, repository, tag, mediaType string, data []byte) (ocispec.Descriptor, error) {
	url := fmt.Sprintf("http://%s/v2/%s/manifests/%s", registry, repository, tag)
	_, err := send(ctx, http.MethodPut, url, mediaType, data)
	return descriptor(mediaType, data), err
}

func pushBlob(ctx context.Context, registry, repository string, data []byte) error {
	location, err := send(ctx, http.MethodPost, fmt.Sprintf("http://%s/v2/%s/blobs/uploads/", registry, repository), "", nil)
	if err != nil {
		return err
	}
	mark := "?"
	if strings.Contains(location, "?") {
		mark = "&"
	}
	_, err = send(ctx, http.MethodPut, location+mark+"digest="+digest.FromBytes(data).String(), "application/octet-stream", data)
	return err
}

func send(ctx context.Context, method, url, mediaType string, body []byte) (location string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("cannot push: %w", err)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("cannot push: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		return "", fmt.Errorf("cannot push: %s: %s", resp.Status, text)
	}
	return resp.Header.Get("Location"), nil
}
