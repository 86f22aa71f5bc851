package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

const (
	hash   = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	layers = `[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + hash + `","size":1}]`
	honest = `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + hash + `","size":2},"layers":` + layers + `}`
	config = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + hash + `"]},"config":{"User":"www:80","Env":["A=b"]},"history":[{"created_by":"x"}]}`
)

func TestManifestsThatBreakRulesAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := manifest.Parse([]byte(honest), ocispec.MediaTypeImageManifest); err != nil {
		t.Fatalf("an honest one: %v", err)
	}
	for name, document := range map[string]string{
		"no json":        "{",
		"list":           "[]",
		"two types":      strings.Replace(honest, `{"schema`, `{"manifests":[],"schema`, 1),
		"another type":   strings.Replace(honest, `{"schema`, `{"mediaType":"application/vnd.oci.image.index.v1+json","schema`, 1),
		"version 1":      strings.Replace(honest, `Version":2`, `Version":1`, 1),
		"no digest":      strings.Replace(honest, hash, "sha256:../../x", 1),
		"negative size":  strings.Replace(honest, `"size":1`, `"size":-1`, 1),
		"giant layer":    strings.Replace(honest, `"size":1`, `"size":99999999999999`, 1),
		"giant config":   strings.Replace(honest, `"size":2`, `"size":9000000`, 1),
		"layer of shell": strings.Replace(honest, "layer.v1.tar+gzip", "shell", 1),
		"no image":       strings.Replace(honest, "image.config.v1", "helm.config.v1", 1),
		"too long":       honest + strings.Repeat(" ", manifest.MaxSize),
	} {
		if _, err := manifest.Parse([]byte(document), ocispec.MediaTypeImageManifest); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if _, err := manifest.Parse([]byte(honest), "application/vnd.docker.distribution.manifest.v1+prettyjws"); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("schema 1: %v, want invalid", err)
	}
}

func TestForeignPlacesOfLayersAreForgotten(t *testing.T) {
	t.Parallel()
	document := strings.Replace(honest, `"size":1`, `"size":1,"urls":["http://169.254.169.254/"],"data":"eA=="`, 1)
	m, err := manifest.Parse([]byte(document), ocispec.MediaTypeImageManifest)
	if err != nil || m.Layers[0].URLs != nil || m.Layers[0].Data != nil {
		t.Errorf("layer %+v (%v), want neither places nor bytes", m.Layers[0], err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	for user, good := range map[string]bool{
		"": true, "0": true, "root": true, "1000:1000": true, "www-data:adm": true, "4294967294": true, "root:x": true, ":0": true, "machine$": true,
		"4294967295": false, "4294967296": false, "-1": false, "0x0": false, "0b1": false, "+1": false, "1_0": false, "a b": false, "a/b": false, ":": true,
		"0:-1": false, "root:4294967296": false, "a:b:c": false, "\n": false,
	} {
		if err := manifest.CheckUser(user); (err == nil) != good {
			t.Errorf("%q: %v, want good %v", user, err, good)
		}
	}
}

// FuzzManifest holds any bytes to what callers rely on.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(honest), ocispec.MediaTypeImageManifest)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"`+hash+`","size":3,"platform":{"os":"linux","architecture":"amd64"}}]}`), ocispec.MediaTypeImageIndex)
	f.Fuzz(func(t *testing.T, data []byte, mediaType string) {
		want := ocispec.Platform{OS: "linux", Architecture: "amd64"}
		if d, err := manifest.Choose(data, mediaType, want); err == nil && (d.Digest.Validate() != nil || d.Size < 0 || d.Size > manifest.MaxSize) {
			t.Errorf("chose %+v", d)
		}
		m, err := manifest.Parse(data, mediaType)
		if err != nil {
			if !model.IsKind(err, model.KindInvalid) {
				t.Errorf("error of kind %s: %v", model.KindOf(err), err)
			}
			return
		}
		if len(m.Layers) > manifest.MaxLayers || m.Config.Size > manifest.MaxConfig || m.Config.Digest.Validate() != nil {
			t.Errorf("took %+v", m)
		}
	})
}

// FuzzConfig reads any configuration; one that is taken can be sent on.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(config))
	m, err := manifest.Parse([]byte(honest), ocispec.MediaTypeImageManifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		image, err := manifest.Config(data, m)
		if err != nil {
			return
		}
		if manifest.CheckUser(image.Config.User) != nil || len(image.DiffIDs) != 1 {
			t.Errorf("took %+v", image)
		}
		if _, err := json.Marshal(image); err != nil {
			t.Errorf("it cannot be sent on: %v", err)
		}
	})
}
