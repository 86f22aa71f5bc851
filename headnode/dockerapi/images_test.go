package dockerapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestAnImageGoesWithItsPlatform removes by platform: an image has one here.
func TestAnImageGoesWithItsPlatform(t *testing.T) {
	t.Parallel()
	const amd64, arm64 = `{"os":"linux","architecture":"amd64"}`, `{"os":"linux","architecture":"arm64"}`
	for _, c := range []struct {
		platforms []string
		want      int
		text      string
	}{
		{nil, http.StatusOK, "Untagged"},
		{[]string{amd64}, http.StatusOK, "Untagged"},
		{[]string{arm64, amd64}, http.StatusOK, "Untagged"},
		{[]string{arm64}, http.StatusNotFound, "does not match"},
		{[]string{"linux/amd64"}, http.StatusBadRequest, "failed to parse platform"},
	} {
		s := newFake().serve(t)
		path := "/v1.50/images/busybox"
		if len(c.platforms) > 0 {
			path += "?" + url.Values{"platforms": c.platforms}.Encode()
		}
		if code, body := request(t, s, http.MethodDelete, path, ""); code != c.want || !strings.Contains(body, c.text) {
			t.Errorf("%q: %d %s, want %d with %q", c.platforms, code, body, c.want, c.text)
		}
	}
}
