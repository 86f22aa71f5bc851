package testaddr_test

import (
	"net"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/testaddr"
)

func TestAServerCanListenThere(t *testing.T) {
	t.Parallel()
	for _, address := range []string{testaddr.Free(t), testaddr.FreeOn(t, "::1")} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
