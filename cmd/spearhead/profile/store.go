package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
)

// Profile is how a user reaches one account of one data center.
type Profile struct {
	Name    string `json:"name"`
	URL     string `json:"url"`     // https://HOST:PORT of the Docker endpoint
	Account string `json:"account"` // the account's login
	Key     string `json:"key"`     // absolute path of an SSH key, or a fingerprint of one that the ssh-agent holds
	Context bool   `json:"context"` // a docker context of this name was made from the profile
}

// Store keeps a user's profiles, one folder each, and writes docker's contexts.
type Store struct {
	Dir          string // holds the profiles' folders: ~/.spearhead/docker
	DockerConfig string // docker's configuration folder: ~/.docker
}

// UserStore is the store of the user who runs the program. It honours DOCKER_CONFIG.
func UserStore() (Store, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return Store{}, fmt.Errorf("cannot find your home directory: %w; set HOME", err)
	}
	docker := os.Getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = filepath.Join(home, ".docker")
	}
	return Store{Dir: filepath.Join(home, ".spearhead", "docker"), DockerConfig: docker}, nil
}

// nameRule is docker's rule for the names of contexts.
var nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$`)

func checkName(name string) error {
	if name == "default" || !nameRule.MatchString(name) {
		return fmt.Errorf("%q cannot name a profile: use a letter or digit, then letters, digits or any of _ . + -, and not the word default", name)
	}
	return nil
}

// Create writes a new profile down. The name must be free; nothing is contacted.
func (s Store) Create(p Profile) error {
	if err := checkName(p.Name); err != nil {
		return err
	}
	if _, err := endpoint(p.URL); err != nil {
		return err
	}
	if err := model.CheckLogin(p.Account); err != nil {
		return err
	}
	if p.Key == "" {
		return errors.New("a profile needs a key: give the path of an SSH key, or the fingerprint of one that your ssh-agent holds, with --key")
	}
	if _, err := os.Stat(s.file(p.Name, recordFile)); err == nil {
		return fmt.Errorf("profile %s exists already: remove it with: spearhead profile rm %s", p.Name, p.Name)
	}
	if err := os.MkdirAll(s.folder(p.Name), 0o700); err != nil {
		return fmt.Errorf("cannot make the profile's folder: %w", err)
	}
	return s.save(p)
}

// recordFile holds the profile itself, beside the files made from it.
const recordFile = "profile.json"

func (s Store) folder(name string) string     { return filepath.Join(s.Dir, name) }
func (s Store) file(name, file string) string { return filepath.Join(s.Dir, name, file) }

func (s Store) save(p Profile) error {
	return atomicfile.WriteJSON(s.file(p.Name, recordFile), p, 0o600)
}

// Get reads a profile.
func (s Store) Get(name string) (Profile, error) {
	if err := checkName(name); err != nil {
		return Profile{}, err
	}
	var p Profile
	err := atomicfile.ReadJSON(s.file(name, recordFile), &p)
	if errors.Is(err, fs.ErrNotExist) {
		return Profile{}, fmt.Errorf("there is no profile %s: list yours with: spearhead profile ls", name)
	}
	return p, err
}

// List reads all profiles, by name.
func (s Store) List() ([]Profile, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the profiles: %w", err)
	}
	var profiles []Profile
	for _, entry := range entries {
		var p Profile
		err := atomicfile.ReadJSON(s.file(entry.Name(), recordFile), &p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, p)
	}
	return profiles, nil
}

// Ready tells whether the profile's certificate has been made.
func (s Store) Ready(p Profile) bool {
	_, err := os.Stat(s.file(p.Name, "cert.pem"))
	return err == nil
}

// Remove removes a profile with everything that was made from it. It refuses while the
// docker client uses the profile's context.
func (s Store) Remove(name string) error {
	p, err := s.Get(name)
	if err != nil {
		return err
	}
	if p.Context {
		if err := s.removeContext(name); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(s.folder(name)); err != nil {
		return fmt.Errorf("cannot remove profile %s: %w", name, err)
	}
	return nil
}

// endpoint checks and parses the URL of a data center's Docker endpoint.
func endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Port() == "" || u.Hostname() == "" || (u.Path != "" && u.Path != "/") {
		return nil, fmt.Errorf("%q is not the URL of a data center: write https://HOST:PORT, for example https://dc.example.org:2376", text)
	}
	return u, nil
}
