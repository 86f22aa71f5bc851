package attend

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// news is what every node is to know.
type news struct {
	gone    wire.Gone
	keyring model.Keyring
}

func newsOf(v *state.View) news {
	gone := wire.Gone{Heads: v.RemovedHeads(), Nodes: v.Departures()}
	if len(gone.Heads)+len(gone.Nodes) > 0 {
		sum := sha256.Sum256([]byte(strings.Join(slices.Concat(gone.Heads, []string{"/"}, gone.Nodes), " ")))
		gone.Version = hex.EncodeToString(sum[:8])
	}
	return news{gone: gone, keyring: v.Keyring()}
}

// certificate signs a node's request for a new one, which is for its key and
// names it as the state has it, whatever the request says.
func (a *Attendant) certificate(n *model.Node, request []byte) ([]byte, error) {
	host, _, err := net.SplitHostPort(n.Address)
	if err != nil {
		return nil, err
	}
	return a.CA.Sign(request, pki.RoleNode, n.ID, []string{host, n.Name}, time.Now())
}
