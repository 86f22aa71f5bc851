package rack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/model"
)

// Census lists everything on this machine that belongs to the rack in dir, or
// to any rack if dir is "": processes, mounts, links, firewall tables,
// cgroups, files and claims, each as "kind name". After Down it is empty.
func Census(dir string) ([]string, error) {
	match, err := matcher(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, count := range []func(matching) ([]string, error){countLinks, countTables, countMounts, countCgroups, countProcesses, countFiles} {
		found, err := count(match)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return all, nil
}

// matching says which racks a census is about.
type matching struct {
	dir     string
	indexes []int
}

func matcher(dir string) (matching, error) {
	if dir == "" {
		m := matching{}
		for i := range maxRacks {
			m.indexes = append(m.indexes, i)
		}
		return m, nil
	}
	r, err := Remains(dir)
	if model.IsKind(err, model.KindNotFound) {
		return matching{dir: dir}, nil
	}
	if err != nil {
		return matching{}, err
	}
	return matching{dir: r.dir, indexes: []int{r.index}}, nil
}

// any reports whether is holds for one of the racks.
func (m matching) any(is func(layout) bool) bool {
	return slices.ContainsFunc(m.indexes, func(i int) bool { return is(layout{m.dir, i}) })
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func countLinks(m matching) ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("cannot list links: %w", err)
	}
	var found []string
	for _, link := range links {
		name := link.Attrs().Name
		ours := func(bridge string) bool {
			rest, ok := strings.CutPrefix(name, bridge)
			return ok && (rest == "" || rest[0] == 'h' || rest[0] == 'n')
		}
		if m.any(func(l layout) bool { return ours(l.underlayBridge()) || ours(l.externalBridge()) }) {
			found = append(found, "link "+name)
		}
	}
	return found, nil
}

func countTables(m matching) ([]string, error) {
	tables, err := findTables(func(t *nftables.Table) bool {
		return m.any(func(l layout) bool { return l.ownsTable(t.Name) })
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, t := range tables {
		found = append(found, "firewall "+t.Name)
	}
	return found, nil
}

func countMounts(m matching) ([]string, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("cannot list mounts: %w", err)
	}
	var found []string
	for _, mount := range mounts {
		at := mount.Mountpoint
		if (m.dir != "" && within(at, m.dir)) || m.any(func(l layout) bool { return within(at, l.runDir()) }) {
			found = append(found, "mount "+at)
		}
	}
	return found, nil
}

func countCgroups(m matching) ([]string, error) {
	roots, err := cgroupRoots()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, root := range roots {
		for _, i := range m.indexes {
			path := filepath.Join(root, layout{index: i}.cgroup())
			if _, err := os.Stat(path); err == nil {
				found = append(found, "cgroup "+path)
			}
		}
	}
	return found, nil
}

// largest has every host that a rack can have: a census must not depend on
// what a rack says of itself.
var largest = record{Heads: maxHeads, Nodes: maxNodes}

func countProcesses(m matching) ([]string, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, i := range m.indexes {
		r := &Rack{layout: layout{m.dir, i}, rec: largest}
		namespaces := r.namespaces()
		for _, p := range all {
			if r.belongs(p, namespaces) || r.servesPool(p) {
				found = append(found, "process "+strconv.Itoa(p.pid)+" "+strings.Join(p.args, " "))
			}
		}
	}
	return found, nil
}

func countFiles(m matching) ([]string, error) {
	var paths []string
	for _, i := range m.indexes {
		paths = append(paths, claimPath(i), layout{index: i}.runDir())
	}
	if m.dir != "" {
		for _, name := range (&Rack{rec: largest}).entries() {
			paths = append(paths, filepath.Join(m.dir, name))
		}
	}
	var found []string
	for _, path := range paths {
		_, err := os.Lstat(path)
		if err == nil {
			found = append(found, "file "+path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot look for files: %w", err)
		}
	}
	return found, nil
}
