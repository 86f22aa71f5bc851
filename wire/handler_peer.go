package wire

import (
	"log/slog"
	"net/http"

	"github.com/spearheadcloud/spearhead/model"
)

// NewPeerHandler returns the HTTP form of what nodes may ask of each other. It
// refuses every other call with model.KindForbidden. Which node calls, the
// request's context says; see WithCaller.
func NewPeerHandler(p interface {
	Peer
	Origin
}, logger *slog.Logger) http.Handler {
	h := &handler{log: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathPrefix+blobsPath+"{digest}", h.blobOf(p))
	h.originRoutes(mux, p)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, model.Errorf(model.KindForbidden, "nodes may ask each other for content only"))
	})
	return mux
}
