package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
)

// Names of tables. Those that a snapshot holds are listed in snapshot.go;
// promised, meta and those of sums.go are worked out again when one is read.
const (
	tableAccounts   = "accounts"
	tablePackages   = "packages"
	tableNetworks   = "networks"
	tableNodes      = "nodes"
	tableContainers = "containers"
	tableImages     = "images"
	tableImageNames = "image_names"
	tableBuilders   = "builders"
	tableVolumes    = "volumes"
	tableEvents     = "events"
	tableSettings   = "settings"
	tableVersions   = "versions"
	tableHeads      = "heads"
	tableRequests   = "requests"
	tablePromised   = "promised"
	tableMeta       = "meta"

	tableRemovedHeads = "removed_heads"
)

// Names of indexes. indexID is the primary one of every table.
const (
	indexID        = "id"
	indexLogin     = "login"
	indexName      = "name"
	indexAccount   = "account"
	indexNode      = "node"
	indexOperation = "operation"
	indexAddress   = "address"
	indexMAC       = "mac"
	indexImage     = "image"
	indexLink      = "link"
	indexEntry     = "entry"
	indexVolume    = "volume"
	indexRemoved   = "removed"
	indexMoving    = "moving"

	indexUnfinished = "unfinished"
)

// setting is a row of tableSettings.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// accountVersion is a row of tableVersions: the entry that last changed
// something of the account.
type accountVersion struct {
	AccountID string `json:"account_id"`
	Index     uint64 `json:"index"`
}

// promised is a row of tablePromised: the sum over the node's containers.
type promised struct {
	NodeID     string
	Resources  model.Resources
	Containers int
}

// meta is the only row of tableMeta.
type meta struct {
	Index      uint64 // of the last applied entry
	Events     int    // rows in tableEvents
	EventBytes int    // their size by eventSize
	Requests   int    // rows in tableRequests
	NodesGone  uint64 // the entry that last removed a node
}

func schema() []*tables.Table {
	return []*tables.Table{
		table(tableAccounts,
			unique(indexID, func(a *model.Account) []string { return []string{a.ID} }),
			unique(indexLogin, func(a *model.Account) []string { return []string{a.Login} })),
		table(tablePackages,
			unique(indexID, func(p *model.Package) []string { return []string{p.Name} })),
		table(tableNetworks,
			unique(indexID, func(n *model.Network) []string { return []string{n.ID} }),
			unique(indexName, func(n *model.Network) []string { return []string{n.AccountID, n.Name} })),
		table(tableNodes,
			unique(indexID, func(n *model.Node) []string { return []string{n.ID} }),
			unique(indexName, func(n *model.Node) []string { return []string{n.Name} })),
		containersTable(),
		table(tableImages,
			unique(indexID, func(i *model.Image) []string { return []string{i.ID} })),
		table(tableImageNames,
			unique(indexID, func(n *model.ImageName) []string { return []string{n.AccountID, n.Ref} }),
			many(indexImage, func(n *model.ImageName) [][]byte { return [][]byte{key(n.ImageID)} })),
		buildersTable(),
		volumesTable(),
		table(tableEvents,
			numbered(indexID, true, func(e *model.Event) []byte { return eventKey(e.Index, e.Order) }, eventArguments)),
		table(tableSettings,
			unique(indexID, func(s *setting) []string { return []string{s.Name} })),
		table(tableVersions,
			unique(indexID, func(v *accountVersion) []string { return []string{v.AccountID} })),
		table(tableHeads,
			unique(indexID, func(h *model.Head) []string { return []string{h.ID} })),
		table(tableRemovedHeads,
			unique(indexID, func(h *removedHead) []string { return []string{h.ID} })),
		requestsTable(),
		tokensTable(),
		departedTable(),
		keyringTable(),
		rulesTable(),
		poolsTable(),
		holdingsTable(),
		sizedTable(),
		nodeChangesTable(),
		table(tablePromised,
			unique(indexID, func(p *promised) []string { return []string{p.NodeID} })),
		table(tableMeta,
			unique(indexID, func(*meta) []string { return []string{tableMeta} })),
	}
}

func containersTable() *tables.Table {
	return table(tableContainers,
		unique(indexID, func(c *model.Container) []string { return []string{c.ID} }),
		unique(indexName, func(c *model.Container) []string { return []string{c.AccountID, c.Name} }),
		whole(many(indexAccount, func(c *model.Container) [][]byte {
			return [][]byte{append(key(c.AccountID), newestFirst(c.Created)...)}
		})),
		many(indexNode, func(c *model.Container) [][]byte { return [][]byte{key(c.NodeID)} }),
		many(indexImage, func(c *model.Container) [][]byte { return [][]byte{key(c.Spec.ImageID)} }),
		many(indexLink, func(c *model.Container) [][]byte {
			var keys [][]byte
			for _, l := range c.Spec.Links {
				keys = append(keys, key(l.ContainerID))
			}
			return keys
		}),
		many(indexVolume, func(c *model.Container) [][]byte {
			var keys [][]byte
			for _, m := range c.Spec.Mounts {
				if m.VolumeID != "" {
					keys = append(keys, key(m.VolumeID))
				}
			}
			return keys
		}),
		many(indexOperation, func(c *model.Container) [][]byte {
			if c.Operation == "" {
				return nil
			}
			return [][]byte{key(c.AccountID, c.Operation)}
		}),
		many(indexAddress, func(c *model.Container) [][]byte { return append(addressKeys(c.NICs), addressKeys(c.Leaving)...) }),
		many(indexMAC, func(c *model.Container) [][]byte { return append(macKeys(c.NICs), macKeys(c.Leaving)...) }),
		many(indexEndpoint, func(c *model.Container) [][]byte { return endpointKeys(c.Spec.Ports) }),
		many(indexUnfinished, unfinishedKeys),
	)
}

func buildersTable() *tables.Table {
	return table(tableBuilders,
		unique(indexID, func(b *model.Builder) []string { return []string{b.AccountID} }),
		many(indexNode, func(b *model.Builder) [][]byte { return [][]byte{key(b.NodeID)} }),
		many(indexAddress, func(b *model.Builder) [][]byte { return addressKeys(b.NICs) }),
		many(indexMAC, func(b *model.Builder) [][]byte { return macKeys(b.NICs) }),
	)
}

func volumesTable() *tables.Table {
	return table(tableVolumes,
		unique(indexID, func(v *model.Volume) []string { return []string{v.ID} }),
		many(indexName, func(v *model.Volume) [][]byte {
			if v.Removing {
				return nil
			}
			return [][]byte{key(v.AccountID, v.Name)}
		}),
		many(indexNode, func(v *model.Volume) [][]byte {
			if v.NodeID == "" {
				return nil
			}
			return [][]byte{key(v.NodeID)}
		}),
		many(indexRemoved, func(v *model.Volume) [][]byte {
			if !v.Removing && len(v.Copies) == 0 {
				return nil
			}
			return [][]byte{key(indexRemoved)}
		}),
		many(indexMoving, func(v *model.Volume) [][]byte {
			if v.Move == nil {
				return nil
			}
			return [][]byte{key(indexMoving)}
		}),
	)
}

func addressKeys(nics []model.NIC) (keys [][]byte) {
	for _, n := range nics {
		if n.Address.IsValid() {
			keys = append(keys, key(n.NetworkID, n.Address.Addr().String()))
		}
		if n.Address6.IsValid() {
			keys = append(keys, key(n.NetworkID, n.Address6.Addr().String()))
		}
	}
	return keys
}

func macKeys(nics []model.NIC) (keys [][]byte) {
	for _, n := range nics {
		if n.MAC != "" {
			keys = append(keys, key(n.MAC))
		}
	}
	return keys
}

func table(name string, indexes ...*tables.Index) *tables.Table {
	return &tables.Table{Name: name, Indexes: indexes}
}

// unique is the index of a key of strings that each row has exactly once. It
// can be searched by whole parts and last one part's beginning.
func unique[T any](name string, parts func(*T) []string) *tables.Index {
	return &tables.Index{
		Name: name, Unique: true, Exact: stringArguments,
		Keys: keysOf(func(row *T) [][]byte { return [][]byte{key(parts(row)...)} }),
		Prefix: func(args ...any) ([]byte, error) {
			k, err := stringArguments(args...)
			if err != nil || len(k) == 0 {
				return nil, errArguments
			}
			return k[:len(k)-1], nil
		},
	}
}

// many is the index of keys that a row may have several times or not at all,
// and that rows may share. It can be searched by whole parts.
func many[T any](name string, keys func(*T) [][]byte) *tables.Index {
	return &tables.Index{Name: name, Keys: keysOf(keys), Exact: stringArguments, Prefix: stringArguments}
}

// whole makes an index one that holds the rows: for long lists that are asked
// for often.
func whole(i *tables.Index) *tables.Index {
	i.Whole = true
	return i
}

// numbered is the index of a key of numbers, which Exact takes as arguments.
func numbered[T any](name string, unique bool, keyOf func(*T) []byte, exact func(args ...any) ([]byte, error)) *tables.Index {
	return &tables.Index{Name: name, Unique: unique, Exact: exact, Keys: keysOf(func(row *T) [][]byte { return [][]byte{keyOf(row)} })}
}

func keysOf[T any](keys func(*T) [][]byte) func(any) ([][]byte, error) {
	return func(row any) ([][]byte, error) {
		r, ok := row.(*T)
		if !ok {
			return nil, fmt.Errorf("a row of type %T is in the wrong table", row)
		}
		return keys(r), nil
	}
}

// key joins parts so that no two lists of parts give the same key and a list
// is a prefix of each list that it begins. Parts hold no NUL: see checkKey.
func key(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p) + 1
	}
	k := make([]byte, 0, n)
	for _, p := range parts {
		k = append(k, p...)
		k = append(k, 0)
	}
	return k
}

// checkKey refuses what cannot be part of a key.
func checkKey(what, s string) error {
	if s == "" {
		return model.Errorf(model.KindInvalid, "%s is empty", what)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return model.Errorf(model.KindInvalid, "%s holds a NUL byte", what)
	}
	return nil
}

// newestFirst sorts later times before earlier ones.
func newestFirst(t time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, ^(uint64(t.Unix()) ^ 1<<63))
	return binary.BigEndian.AppendUint32(b, ^uint32(t.Nanosecond()))
}

var errArguments = errors.New("wrong arguments for an index")

func stringArguments(args ...any) ([]byte, error) {
	parts := make([]string, len(args))
	for i, a := range args {
		s, ok := a.(string)
		if !ok {
			return nil, errArguments
		}
		parts[i] = s
	}
	return key(parts...), nil
}

// indexArgument is the key of the index of an entry.
func indexArgument(args ...any) ([]byte, error) {
	if len(args) != 1 {
		return nil, errArguments
	}
	index, ok := args[0].(uint64)
	if !ok {
		return nil, errArguments
	}
	return indexKey(index), nil
}

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// eventArguments is the key of an event's index and order.
func eventArguments(args ...any) ([]byte, error) {
	if len(args) != 2 {
		return nil, errArguments
	}
	index, ok1 := args[0].(uint64)
	order, ok2 := args[1].(int)
	if !ok1 || !ok2 {
		return nil, errArguments
	}
	return eventKey(index, order), nil
}

func eventKey(index uint64, order int) []byte {
	b := binary.BigEndian.AppendUint64(nil, index)
	return binary.BigEndian.AppendUint64(b, uint64(order))
}
