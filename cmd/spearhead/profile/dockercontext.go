package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// contextMeta is docker's record of a context (cli/context/store in docker's client), in a
// folder named by the SHA-256 of the context's name.
type contextMeta struct {
	Name      string
	Metadata  contextMetadata
	Endpoints map[string]contextEndpoint
}

type contextMetadata struct {
	Description string
}

type contextEndpoint struct {
	Host          string
	SkipTLSVerify bool
}

// contextFolders are where docker keeps the record of a context and its TLS files.
func (s Store) contextFolders(name string) (meta, tls string) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	contexts := filepath.Join(s.DockerConfig, "contexts")
	return filepath.Join(contexts, "meta", id), filepath.Join(contexts, "tls", id)
}

// writeContext makes, or renews, the docker context of a profile. A context of that name
// that the user made by hand is left alone and refused.
func (s Store) writeContext(p Profile, host string, files map[string][]byte) error {
	meta, tls := s.contextFolders(p.Name)
	if _, err := os.Stat(meta); err == nil && !p.Context {
		return fmt.Errorf("there is a docker context %s already, not made by this profile: remove it with: docker context rm %s, or name your profile otherwise", p.Name, p.Name)
	}
	endpointFolder := filepath.Join(tls, "docker")
	for _, folder := range []string{meta, endpointFolder} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("cannot make the docker context: %w", err)
		}
	}
	for name, content := range files {
		if err := atomicfile.Write(filepath.Join(endpointFolder, name), content, 0o600); err != nil {
			return fmt.Errorf("cannot make the docker context: %w", err)
		}
	}
	record := contextMeta{
		Name:      p.Name,
		Metadata:  contextMetadata{Description: fmt.Sprintf("Spearhead account %s at %s", p.Account, p.URL)},
		Endpoints: map[string]contextEndpoint{"docker": {Host: host}},
	}
	return atomicfile.WriteJSON(filepath.Join(meta, "meta.json"), record, 0o644)
}

// removeContext removes the docker context of a profile, unless docker uses it by default.
func (s Store) removeContext(name string) error {
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	err := atomicfile.ReadJSON(filepath.Join(s.DockerConfig, "config.json"), &config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if config.CurrentContext == name {
		return fmt.Errorf("docker uses the context %s now: first run: docker context use default", name)
	}
	meta, tls := s.contextFolders(name)
	for _, folder := range []string{meta, tls} {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("cannot remove the docker context %s: %w", name, err)
		}
	}
	return nil
}
