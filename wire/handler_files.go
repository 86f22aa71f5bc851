package wire

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/spearheadcloud/spearhead/model"
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
	if err := json.Unmarshal([]byte(r.URL.Query().Get(requestParameter)), &in); err != nil {
		h.fail(w, r, model.WrapError(model.KindInvalid, err, "the message is not valid JSON of the expected form"))
		return
	}
	if err := h.agent.WriteArchive(r.Context(), r.PathValue("id"), in, r.Body); err != nil {
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

// copyOut sends all of a content whose length is not known. If it fails the
// connection breaks, so that the reader sees that it is not the end.
func (h *handler) copyOut(w http.ResponseWriter, r *http.Request, content io.Reader) {
	w.Header().Set("Content-Type", contentRaw)
	w.WriteHeader(http.StatusOK)
	if _, err := io.CopyBuffer(writerOnly{w}, readerOnly{content}, make([]byte, streamBuffer)); err != nil {
		h.report(r, err)
		panic(http.ErrAbortHandler)
	}
}
