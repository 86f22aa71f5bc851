package image_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/containerd/log"

	"github.com/spearheadcloud/spearhead/image"
)

// TestLibrariesLogAsTheStoreDoes is not parallel: the libraries have one logger.
func TestLibrariesLogAsTheStoreDoes(t *testing.T) {
	needRoot(t)
	var elsewhere, text bytes.Buffer
	log.L.Logger.SetOutput(&elsewhere)
	open(t, image.Config{Root: storeDir(t), Logger: slog.New(slog.NewTextHandler(&text, nil))})
	if text.Len() > 0 {
		t.Errorf("opening a store logged:\n%s", &text)
	}
	log.L.WithError(errors.New("broken")).WithField("path", "/p").Error("it failed")
	log.L.Warn("it goes on")
	if line := text.String(); !strings.Contains(line, `level=WARN msg="it failed"`) || !strings.Contains(line, "err=broken") || !strings.Contains(line, "path=/p") {
		t.Errorf("an error of a library is logged as %q", line)
	}
	if strings.Contains(text.String(), "it goes on") {
		t.Errorf("what a library goes on with is not for debugging only:\n%s", &text)
	}
	if elsewhere.Len() > 0 {
		t.Errorf("the library logged past the store:\n%s", &elsewhere)
	}
}
