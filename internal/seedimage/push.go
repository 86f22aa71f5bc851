package seedimage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Config is what an image says of the containers made from it.
type Config struct {
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	User         string              `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"` // "80/tcp"
	Labels       map[string]string   `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`
}

// media types of Docker's schema 2, which every registry and client knows.
const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Push makes an image of the files in folder and pushes it as ref, HOST:PORT/NAME:TAG. The
// files keep owners and modes, so it must run as a user who can read them all.
func Push(ctx context.Context, ref, folder string, config Config) error {
	if err := push(ctx, ref, folder, config); err != nil {
		return fmt.Errorf("cannot push the image %s: %w", ref, err)
	}
	return nil
}

func push(ctx context.Context, ref, folder string, config Config) error {
	host, name, found := strings.Cut(ref, "/")
	repository, tag, tagged := strings.Cut(name, ":")
	if !found || !tagged {
		return errors.New("it is not HOST:PORT/NAME:TAG")
	}
	base := "http://" + host + "/v2/" + repository

	work, err := os.MkdirTemp("", "seedimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	layer, diffID, err := pack(ctx, folder, work)
	if err != nil {
		return err
	}
	description, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": time.Now().UTC(), "config": config,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{diffID}},
		"history": []map[string]any{{"created": time.Now().UTC(), "created_by": "spearhead seedimage"}},
	})
	if err != nil {
		return err
	}
	layerPart, err := uploadFile(ctx, base, layerType, layer)
	if err != nil {
		return err
	}
	configPart, err := upload(ctx, base, configType, bytes.NewReader(description))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": configPart, "layers": []descriptor{layerPart},
	})
	if err != nil {
		return err
	}
	_, err = send(ctx, http.MethodPut, base+"/manifests/"+tag, manifestType, bytes.NewReader(manifest), int64(len(manifest)))
	return err
}

// descriptor names a blob, as the OCI image specification says.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	Digest    string `json:"digest"`
}

// pack makes the layer: the path of its compressed file and the digest of its plain form.
func pack(ctx context.Context, folder, work string) (layer, diffID string, err error) {
	plain, layer := filepath.Join(work, "layer.tar"), filepath.Join(work, "layer.tar.gz")
	tar := exec.CommandContext(ctx, "tar", "--create", "--file", plain, "--numeric-owner", "--sort=name", "--directory", folder, ".")
	if out, err := tar.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("tar: %w: %s", err, out)
	}
	file, err := os.Open(plain)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	diffID, _, err = digest(file)
	if err != nil {
		return "", "", err
	}
	if out, err := exec.CommandContext(ctx, "gzip", "-1", "-n", plain).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("gzip: %w: %s", err, out)
	}
	return layer, diffID, nil
}

// digest reads all of a file.
func digest(file io.Reader) (string, int64, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), size, err
}

func uploadFile(ctx context.Context, base, mediaType, path string) (descriptor, error) {
	file, err := os.Open(path)
	if err != nil {
		return descriptor{}, err
	}
	defer file.Close()
	return upload(ctx, base, mediaType, file)
}

// upload sends a blob in one piece.
func upload(ctx context.Context, base, mediaType string, blob io.ReadSeeker) (descriptor, error) {
	sum, size, err := digest(blob)
	if err != nil {
		return descriptor{}, err
	}
	if _, err := blob.Seek(0, io.SeekStart); err != nil {
		return descriptor{}, err
	}
	answer, err := send(ctx, http.MethodPost, base+"/blobs/uploads/", "", nil, 0)
	if err != nil {
		return descriptor{}, err
	}
	location, err := answer.Location()
	if err != nil {
		return descriptor{}, err
	}
	query := location.Query()
	query.Set("digest", sum)
	location.RawQuery = query.Encode()
	if _, err := send(ctx, http.MethodPut, location.String(), "application/octet-stream", blob, size); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: mediaType, Size: size, Digest: sum}, nil
}

func send(ctx context.Context, method, url, contentType string, body io.Reader, size int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	message, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, fmt.Errorf("the registry answers %s to %s %s: %s", answer.Status, method, path.Base(url), message)
	}
	return answer, nil
}
