package wire

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/spearheadcloud/spearhead/internal/cork"
)

func (h *handler) readArchive(w http.ResponseWriter, r *http.Request) {
	var path string
	if !h.decode(w, r, &path) {
		return
	}
	archive, err := h.agent.ReadArchive(r.Context(), r.PathValue("id"), path)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer archive.Close()
	stat, err := json.Marshal(archive.Stat)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set(statHeader, string(stat))
	h.copyOut(w, r, archive)
}

func (h *handler) writeArchive(w http.ResponseWriter, r *http.Request) {
	var in WriteArchiveRequest
	if !h.arguments(w, r, &in) {
		return
	}
	if err := h.agent.WriteArchive(r.Context(), r.PathValue("id"), in, r.Body); err != nil {
		// Else the server would first wait for the rest of the archive, whose
		// sender may be silent.
		w.Header().Set("Connection", "close")
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) export(w http.ResponseWriter, r *http.Request) {
	content, err := h.agent.Export(r.Context(), r.PathValue("id"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer content.Close()
	h.copyOut(w, r, content)
}

// copyOut sends all of a content whose length is not known.
func (h *handler) copyOut(w http.ResponseWriter, r *http.Request, content io.Reader) {
	w.Header().Set("Content-Type", contentRaw)
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush() // so that an error can follow also a short content
	if _, err := io.CopyBuffer(cork.NewWriter(w, cork.Of(r.Context())), readerOnly{content}, make([]byte, streamBuffer)); err != nil {
		h.failBehind(w, r, err)
	}
}

// failBehind ends an answer whose content has begun and cannot go on: the
// reader finds the reason behind it. When it is the reader that is gone, or
// does not take it, the connection breaks.
func (h *handler) failBehind(w http.ResponseWriter, r *http.Request, err error) {
	h.report(r, err)
	reason, encodeErr := json.Marshal(NewErrorBody(err))
	if !fromReader(err) || encodeErr != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(http.TrailerPrefix+errorTrailer, string(reason))
}
