package dockerapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// goldenRequest is one request of a golden file.
type goldenRequest struct {
	method, path string // without the version, unless path begins with /v
	body         string
	contentType  string // of the body, if it is not JSON's
	accept       string
	unversioned  bool
	headers      []string // of the answer that are shown besides Content-Type
	// newest makes an empty value of the type that clients of the newest
	// version decode the answer, or each document of it, into.
	newest func() any
}

func as[T any]() any { return new(T) }

// goldenRequests are the requests of each golden file.
var goldenRequests = map[string][]goldenRequest{
	"ps":      {{method: "GET", path: "/containers/json?all=1&size=1", newest: as[[]container.Summary]}},
	"inspect": {{method: "GET", path: "/containers/web/json?size=1", newest: as[container.InspectResponse]}},
	"create": {
		{method: "POST", path: "/containers/create?name=made", body: `{"Image":"busybox"}`, newest: as[container.CreateResponse]},
	},
	"stats": {
		{method: "GET", path: "/containers/web/stats?stream=0&one-shot=1", newest: as[container.StatsResponse]},
		{method: "GET", path: "/containers/job/stats?stream=0&one-shot=1", newest: as[container.StatsResponse]},
	},
	"containers": {
		{method: "POST", path: "/containers/job/wait", newest: as[container.WaitResponse]},
		{method: "GET", path: "/containers/web/top", newest: as[container.TopResponse]},
		{method: "GET", path: "/containers/web/changes", newest: as[[]container.FilesystemChange]},
		{method: "POST", path: "/containers/web/update", body: `{"Memory":67108864}`, newest: as[container.UpdateResponse]},
		{method: "POST", path: "/containers/prune", newest: as[container.PruneReport]},
		{method: "HEAD", path: "/containers/web/archive?path=/there", headers: []string{"X-Docker-Container-Path-Stat"}},
		{method: "POST", path: "/containers/web/copy", body: `{"Resource":"/there"}`},
	},
	"exec": {
		{method: "POST", path: "/containers/web/exec", body: `{"Cmd":["id","-u"]}`, newest: as[common.IDResponse]},
		{method: "GET", path: "/exec/" + goldenExec + "/json", newest: as[container.ExecInspectResponse]},
	},
	"images": {{method: "GET", path: "/images/json", newest: as[[]image.Summary]}},
	"image": {
		{method: "GET", path: "/images/busybox/json", newest: as[image.InspectResponse]},
		{method: "GET", path: "/images/busybox/history", newest: as[[]image.HistoryResponseItem]},
		{method: "POST", path: "/images/prune", newest: as[image.PruneReport]},
	},
	"registries": {
		{method: "GET", path: "/distribution/busybox/json", newest: as[registry.DistributionInspect]},
		{method: "GET", path: "/images/search?term=busybox&limit=7&filters=%7B%22stars%22%3A%5B%223%22%5D%7D", newest: as[[]registry.SearchResult]},
		{method: "POST", path: "/auth", body: `{"username":"jill","password":"right","serveraddress":"tokens.example"}`, newest: as[registry.AuthResponse]},
		{method: "POST", path: "/images/busybox/push?tag=latest", newest: as[line]},
		{method: "POST", path: "/images/load?quiet=0", body: "a tar archive", contentType: "application/x-tar", newest: as[line]},
		{method: "POST", path: "/images/create?fromSrc=-", body: "a tar archive", contentType: "application/x-tar", newest: as[line]},
		{method: "GET", path: "/images/busybox/get?platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm%22%7D", newest: as[common.ErrorResponse]},
	},
	"networks": {
		{method: "GET", path: "/networks", newest: as[[]network.Summary]},
		{method: "GET", path: "/networks/external", newest: as[network.Inspect]},
		{method: "POST", path: "/networks/create", body: `{"Name":"mine","Labels":{"a":"b"},"IPAM":{"Config":[{"Subnet":"10.7.0.0/16","IPRange":"10.7.1.0/24","Gateway":"10.7.0.9"}]}}`, newest: as[network.CreateResponse]},
		{method: "POST", path: "/networks/prune", newest: as[network.PruneReport]},
	},
	"volumes": {
		{method: "GET", path: "/volumes", newest: as[volume.ListResponse]},
		{method: "GET", path: "/volumes/data", newest: as[volume.Volume]},
		{method: "POST", path: "/volumes/create", body: `{"Name":"other","DriverOpts":{"size":"1g"}}`, newest: as[volume.Volume]},
		{method: "POST", path: "/volumes/prune", newest: as[volume.PruneReport]},
	},
	"system": {
		{method: "GET", path: "/info", newest: as[system.Info]},
		{method: "GET", path: "/version", newest: as[system.VersionResponse]},
		{method: "GET", path: "/_ping", headers: []string{"Api-Version", "Builder-Version", "Cache-Control", "Docker-Experimental", "Ostype", "Pragma", "Server", "Swarm"}},
	},
	"df": {
		{method: "GET", path: "/system/df", newest: as[system.DiskUsage]},
		{method: "GET", path: "/system/df?verbose=1&type=image&type=volume", newest: as[system.DiskUsage]},
	},
	"events": {
		{method: "GET", path: "/events?since=1&until=2", newest: as[events.Message]},
		{method: "GET", path: "/events?since=1&until=2&filters=" + `%7B%22type%22%3A%5B%22image%22%5D%7D`, accept: "application/x-ndjson"},
		{method: "GET", path: "/events?since=1&until=3&filters=" + `%7B%22type%22%3A%5B%22image%22%5D%7D`, accept: "application/jsonl"},
		{method: "GET", path: "/events?since=1&until=4&filters=" + `%7B%22type%22%3A%5B%22image%22%5D%7D`, accept: "application/json-seq"},
	},
	"errors": {
		{method: "GET", path: "/containers/none/json", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/nothing", newest: as[common.ErrorResponse]},
		{method: "HEAD", path: "/info"},
		{method: "OPTIONS", path: "/info"},
		{method: "POST", path: "/containers/create", body: `{}`, newest: as[common.ErrorResponse]},
		{method: "POST", path: "/containers/create?name=", body: `{"Image":"busybox","HostConfig":{"Memory":"1g"}}`, newest: as[common.ErrorResponse]},
		{method: "POST", path: "/containers/web/start"},
		{method: "POST", path: "/containers/web/start?", body: `{"Binds":["/a:/b"]}`, newest: as[common.ErrorResponse]},
		{method: "POST", path: "/containers/job/kill", newest: as[common.ErrorResponse]},
		{method: "POST", path: "/containers/job/wait?condition=bored", newest: as[common.ErrorResponse]},
		{method: "DELETE", path: "/containers/web", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/containers/json?filters=x", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/services", newest: as[common.ErrorResponse]},
		{method: "POST", path: "/build?squash=1", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/v1.19/info", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/v1.57/info", newest: as[common.ErrorResponse]},
		{method: "GET", path: "/v0.9/info", newest: as[common.ErrorResponse]},
	},
}

// TestGoldenAnswers holds what clients of each version get.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	for name, requests := range goldenRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, name, func(v compat.Version) []section {
				handler := newGoldenHandler(t)
				var all []section
				for i := range requests {
					all = append(all, requests[i].section(t, handler, v))
				}
				return all
			})
		})
	}
}

// TestNewestAnswersAreOfTheTypesOfTheAPI decodes each answer of the newest
// version into the type of moby's own client, which must know every field.
func TestNewestAnswersAreOfTheTypesOfTheAPI(t *testing.T) {
	t.Parallel()
	for name, requests := range goldenRequests {
		handler := newGoldenHandler(t)
		for i := range requests {
			r := &requests[i]
			if r.newest == nil {
				continue
			}
			decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(r.send(t, handler, compat.Newest).Body.Bytes(), []byte{0x1e}, nil)))
			decoder.DisallowUnknownFields()
			for n := 0; n == 0 || decoder.More(); n++ {
				if err := decoder.Decode(r.newest()); err != nil {
					t.Errorf("%s: document %d of %s %s: %v", name, n, r.method, r.path, err)
					break
				}
			}
		}
	}
}

// send makes the request as a client of version v.
func (r *goldenRequest) send(t *testing.T, handler http.Handler, v compat.Version) *httptest.ResponseRecorder {
	t.Helper()
	path := r.path
	if !r.unversioned && !strings.HasPrefix(path, "/v1.") && !strings.HasPrefix(path, "/v0.") {
		path = "/v" + v.String() + path
	}
	request := httptest.NewRequest(r.method, path, strings.NewReader(r.body))
	if r.body != "" {
		request.Header.Set("Content-Type", cmp.Or(r.contentType, "application/json"))
	}
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	return w
}

// section makes the request as a client of version v and describes the answer.
func (r *goldenRequest) section(t *testing.T, handler http.Handler, v compat.Version) section {
	t.Helper()
	w := r.send(t, handler, v)
	s := section{title: r.method + " " + r.path, lines: []string{fmt.Sprintf("%d %s", w.Code, w.Header().Get("Content-Type"))}}
	for _, header := range r.headers {
		s.lines = append(s.lines, fmt.Sprintf("%s: %s", header, w.Header().Get(header)))
	}
	s.lines = append(s.lines, answerLines(withoutRandom(w.Body.Bytes()))...)
	return s
}
