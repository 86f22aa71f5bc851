package bed

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ObserveMachine lists what a rack could leave behind, as a person would look for it:
// links, mounts, firewall tables, cgroups, processes, pools and files.
func ObserveMachine() ([]string, error) {
	var things []string
	for _, observe := range []func() ([]string, error){links, mounts, firewall, cgroups, processes, pools, runtimeFiles} {
		found, err := observe()
		if err != nil {
			return nil, err
		}
		things = append(things, found...)
	}
	return things, nil
}

// ofRack finds the index of the rack that a thing belongs to by its name.
var ofRack = regexp.MustCompile(`spearhead-?rack-?(\d+)|spearhead/racks/(\d+)(?:[/.]|$)|link sh[ue](\d+)`)

// LeftOver is what is there after and was not before and is this rack's by its name or its
// folder. Other programs, and racks that others have up, come and go meanwhile.
func LeftOver(before, after []string, b *Bed) []string {
	return slices.DeleteFunc(after, func(thing string) bool {
		owner := ofRack.FindStringSubmatch(thing)
		ours := slices.Contains(owner, b.Index()) || owner == nil && (strings.Contains(thing, b.Dir) || strings.Contains(thing, b.binary))
		return !ours || slices.Contains(before, thing)
	})
}

func links() ([]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, link := range interfaces {
		names = append(names, "link "+link.Name)
	}
	return names, nil
}

func mounts() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			found = append(found, "mount "+fields[4])
		}
	}
	return found, nil
}

func firewall() ([]string, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, nil
	}
	out, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return nil, fmt.Errorf("nft list tables: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		found = append(found, "firewall "+strings.TrimSpace(line))
	}
	return found, nil
}

// cgroups are those of ours: other programs make and remove theirs all the time.
func cgroups() ([]string, error) {
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.Contains(path, "spearhead") {
			found = append(found, "cgroup "+path)
		}
		return nil
	})
	return found, err
}

// processes are told with their cgroup, program and command line.
func processes() ([]string, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, folder := range folders {
		program, _ := os.Readlink(filepath.Join(folder, "exe"))
		groups, _ := os.ReadFile(filepath.Join(folder, "cgroup"))
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		words := strings.ReplaceAll(string(line), "\x00", " ")
		found = append(found, fmt.Sprintf("process %s %s %s %s", filepath.Base(folder), ofRack.FindString(string(groups)), program, words))
	}
	return found, nil
}

// pools are the ZFS pools, where there is a zfs command that works.
func pools() ([]string, error) {
	out, err := exec.Command("zpool", "list", "-H", "-o", "name").Output()
	if err != nil {
		return nil, nil
	}
	var found []string
	for name := range strings.FieldsSeq(string(out)) {
		found = append(found, "pool "+name)
	}
	return found, nil
}

// runtimeFiles are files below the folders that racks use beside their own.
func runtimeFiles() ([]string, error) {
	var found []string
	for _, root := range []string{"/run/spearhead", "/var/run/netns"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && path != root {
				found = append(found, "file "+path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
