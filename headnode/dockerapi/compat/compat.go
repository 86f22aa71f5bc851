package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
)

// Route names a route by its method and its path without version, with
// placeholders, as in "GET /containers/{id}/json".
type Route string

// The routes that differ between versions.
const (
	ContainerList    Route = "GET /containers/json"
	ContainerCreate  Route = "POST /containers/create"
	ContainerInspect Route = "GET /containers/{id}/json"
	ContainerWait    Route = "POST /containers/{id}/wait"
	ContainerLogs    Route = "GET /containers/{id}/logs"
	ContainerStats   Route = "GET /containers/{id}/stats"
	ContainerStop    Route = "POST /containers/{id}/stop"
	ContainerRestart Route = "POST /containers/{id}/restart"
	ContainerUpdate  Route = "POST /containers/{id}/update"
	ContainerCommit  Route = "POST /commit"
	ArchivePut       Route = "PUT /containers/{id}/archive"
	ExecCreate       Route = "POST /containers/{id}/exec"
	ExecStart        Route = "POST /exec/{id}/start"
	ImageList        Route = "GET /images/json"
	ImageCreate      Route = "POST /images/create"
	ImageInspect     Route = "GET /images/{name...}/json"
	ImageHistory     Route = "GET /images/{name...}/history"
	ImageRemove      Route = "DELETE /images/{name...}"
	ImageSearch      Route = "GET /images/search"
	ImagePush        Route = "POST /images/{name...}/push"
	ImageSave        Route = "GET /images/get"
	ImageSaveOne     Route = "GET /images/{name...}/get"
	ImageLoad        Route = "POST /images/load"
	NetworkList      Route = "GET /networks"
	NetworkInspect   Route = "GET /networks/{id}"
	DiskUsage        Route = "GET /system/df"
	Info             Route = "GET /info"
	ServerVersion    Route = "GET /version"
	Events           Route = "GET /events"
)

// doc is a JSON object.
type doc = map[string]any

// changes holds what differs on each route, oldest edge first.
var changes = byRoute(containerChanges, execChanges, imageChanges, networkChanges, systemChanges)

func byRoute(tables ...[]change) map[Route][]change {
	all := map[Route][]change{}
	for _, table := range tables {
		for _, c := range table {
			all[c.route] = append(all[c.route], c)
		}
	}
	return all
}

// RaiseQuery turns the parameters of a request of version v into those of the
// newest version, in place.
func RaiseQuery(r Route, v Version, q url.Values) {
	for _, c := range changes[r] {
		if c.query != nil && v.Before(c.before) {
			c.query(q)
		}
	}
}

// RaiseBody turns the JSON object that a client of version v sent into the
// form of the newest version.
func RaiseBody(r Route, v Version, body []byte) ([]byte, error) {
	var fix []func(doc)
	for _, c := range changes[r] {
		if c.body != nil && v.Before(c.before) {
			fix = append(fix, c.body)
		}
	}
	return rewrite(body, fix)
}

// Lower turns an answer of the newest version, a JSON object or a list of
// them, into the form that clients of version v know.
func Lower(r Route, v Version, body []byte) ([]byte, error) {
	var fix []func(doc)
	for _, c := range slices.Backward(changes[r]) {
		if c.lower != nil && v.Before(c.before) {
			fix = append(fix, c.lower)
		}
	}
	return rewrite(body, fix)
}

func rewrite(body []byte, fix []func(doc)) ([]byte, error) {
	if len(fix) == 0 {
		return body, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("cannot read JSON: %w", err)
	}
	switch value := value.(type) {
	case doc:
		apply(value, fix)
	case []any:
		for _, element := range value {
			if object, ok := element.(doc); ok {
				apply(object, fix)
			}
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("cannot write JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func apply(d doc, fix []func(doc)) {
	for _, f := range fix {
		f(d)
	}
}
