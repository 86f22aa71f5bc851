package image

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// findByRepositories finds the images of an archive from before Docker 1.10:
// each layer is a directory with a layer.tar and a configuration, which names
// the layer below. Images have the ids that later Dockers give them, if what
// saved them was Docker 1.8.3 or later.
func (l *load) findByRepositories(ctx context.Context) ([]packed, error) {
	tops, err := l.legacyTops()
	if err != nil {
		return nil, err
	}
	var list []packed
	for _, id := range slices.Sorted(maps.Keys(tops)) {
		found, err := l.legacyImage(ctx, id)
		if err != nil {
			return nil, err
		}
		list = addPacked(list, packed{found, tops[id]})
	}
	return list, nil
}

// legacyTops returns the layers that images end with, and the images' names.
// Without any name it is the layers that no other is upon.
func (l *load) legacyTops() (map[string][]string, error) {
	tops := make(map[string][]string)
	if l.files.has(dockerRepositories) {
		data, err := l.files.document(dockerRepositories)
		if err != nil {
			return nil, err
		}
		var named repositories
		if err := json.Unmarshal(data, &named); err != nil {
			return nil, model.WrapError(model.KindInvalid, err, "the archive's %s cannot be read", dockerRepositories)
		}
		for name, tags := range named {
			for tag, id := range tags {
				ref, err := taggedRef(name + ":" + tag)
				if err != nil {
					return nil, err
				}
				tops[id] = append(tops[id], ref.String())
			}
		}
	}
	if len(tops) == 0 {
		below := make(map[string]bool)
		for _, id := range l.files.legacyIDs() {
			layer, err := l.legacyLayer(id)
			if err != nil {
				return nil, err
			}
			below[layer.Parent] = true
			tops[id] = nil
		}
		maps.DeleteFunc(tops, func(id string, _ []string) bool { return below[id] })
	}
	if len(tops) == 0 || len(tops) > maxArchivedImages {
		return nil, refuseArchive("it names %d images; 1 to %d are taken", len(tops), maxArchivedImages)
	}
	for _, refs := range tops {
		slices.Sort(refs)
	}
	return tops, nil
}

// legacyJSON is what is looked at of the configuration of a layer.
type legacyJSON struct {
	Parent          string `json:"parent"`
	Comment         string `json:"comment"`
	Created         time.Time
	Author          string
	OS              string
	Architecture    string
	ContainerConfig struct{ Cmd []string } `json:"container_config"`
}

func (l *load) legacyLayer(id string) (legacyJSON, error) {
	var layer legacyJSON
	data, err := l.files.document(path.Join(id, legacyConfig))
	if err != nil {
		return layer, err
	}
	if err := json.Unmarshal(data, &layer); err != nil {
		return layer, model.WrapError(model.KindInvalid, err, "the configuration of layer %.80q cannot be read", id)
	}
	return layer, nil
}

// legacyImage puts an image together from the layer that it ends with.
func (l *load) legacyImage(ctx context.Context, top string) (ocispec.Descriptor, error) {
	var (
		layers  []blob
		history []legacyHistory
	)
	for id := top; id != ""; {
		if len(layers) == manifest.MaxLayers { // also the end of a loop
			return ocispec.Descriptor{}, tooManyLayers(len(layers) + 1)
		}
		layer, err := l.legacyLayer(id)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		stored, err := l.namedLayer(ctx, path.Join(id, legacyLayer))
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		layers = append(layers, stored)
		history = append(history, legacyHistory{
			Created: layer.Created, Author: layer.Author, Comment: layer.Comment, CreatedBy: strings.Join(layer.ContainerConfig.Cmd, " "),
		})
		id = layer.Parent
	}
	slices.Reverse(layers)
	slices.Reverse(history)
	config, err := l.legacyConfiguration(top, layers, history)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return l.assemble(ctx, config, layers)
}

// legacyConfiguration makes a configuration of today from that of an image's
// last layer, byte for byte as Docker does.
func (l *load) legacyConfiguration(top string, layers []blob, history []legacyHistory) ([]byte, error) {
	data, err := l.files.document(path.Join(top, legacyConfig))
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "the configuration of layer %.80q cannot be read", top)
	}
	for _, old := range []string{"id", "parent", "Size", "parent_id", "layer_id", "throwaway"} {
		delete(fields, old)
	}
	root := legacyRoot{Type: "layers"}
	for _, layer := range layers {
		root.DiffIDs = append(root.DiffIDs, layer.diffID)
	}
	for name, value := range map[string]any{"rootfs": root, "history": history} {
		if fields[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("cannot write the image's configuration: %w", err)
		}
	}
	for name, value := range map[string]string{"os": "linux", "architecture": "amd64"} {
		if _, ok := fields[name]; !ok { // Dockers before 1.0 ran on nothing else
			fields[name] = json.RawMessage(`"` + value + `"`)
		}
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("cannot write the image's configuration: %w", err)
	}
	return out, nil
}

// legacyRoot and legacyHistory have the order of fields that Docker writes.
type (
	legacyRoot struct {
		Type    string          `json:"type"`
		DiffIDs []digest.Digest `json:"diff_ids,omitempty"`
	}
	legacyHistory struct {
		Created   time.Time `json:"created"`
		Author    string    `json:"author,omitempty"`
		CreatedBy string    `json:"created_by,omitempty"`
		Comment   string    `json:"comment,omitempty"`
	}
)
