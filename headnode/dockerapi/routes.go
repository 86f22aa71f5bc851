package dockerapi

import (
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// routes is Docker's whole route table. A route that stands before another is
// tried first.
var routes = slices.Concat(systemRoutes, containerRoutes, imageRoutes, missingRoutes(), swarmRoutes())

var systemRoutes = []route{
	{name: "GET /_ping", handle: (*server).ping, open: true},
	{name: "HEAD /_ping", handle: (*server).ping, open: true},
	{name: "GET /ca.pem", handle: (*server).certificate, open: true},
	{name: compat.ServerVersion, handle: (*server).serverVersion},
	{name: compat.Info, handle: (*server).info},
	{name: "POST /auth", handle: (*server).login},
	{name: compat.Events, handle: (*server).events},
}

var containerRoutes = []route{
	{name: compat.ContainerList, handle: (*server).listContainers},
	{name: compat.ContainerCreate, handle: (*server).createContainer},
	{name: "POST /containers/prune", handle: notImplemented("pruning of containers is")},
	{name: compat.ContainerInspect, handle: (*server).inspectContainer},
	{name: "POST /containers/{id}/start", handle: (*server).startContainer},
	{name: compat.ContainerStop, handle: (*server).stopContainer},
	{name: compat.ContainerRestart, handle: (*server).restartContainer},
	{name: "POST /containers/{id}/kill", handle: (*server).killContainer},
	{name: compat.ContainerWait, handle: (*server).waitContainer},
	{name: "DELETE /containers/{id}", handle: (*server).removeContainer},
	{name: "DELETE /containers/{id}/{alias}", handle: notImplemented("removing links is")},
	{name: "POST /containers/{id}/rename", handle: (*server).renameContainer},
	{name: "POST /containers/{id}/resize", handle: (*server).resizeContainer},
	{name: "POST /containers/{id}/attach", handle: (*server).attachContainer},
	{name: compat.ContainerLogs, handle: (*server).containerLogs},
	{name: "GET /containers/{id}/top", handle: (*server).topContainer},
	{name: compat.ExecCreate, handle: (*server).createExec},
	{name: compat.ExecStart, handle: (*server).startExec},
	{name: "POST /exec/{id}/resize", handle: (*server).resizeExec},
	{name: "GET /exec/{id}/json", handle: (*server).inspectExec},
}

var imageRoutes = []route{
	{name: compat.ImageList, handle: (*server).listImages},
	{name: compat.ImageCreate, handle: (*server).pullImage},
	{name: "GET /images/search", handle: notImplemented("searching registries is")},
	{name: "GET /images/get", handle: notImplemented("saving images is")},
	{name: "POST /images/load", handle: notImplemented("loading images is")},
	{name: "POST /images/prune", handle: notImplemented("pruning of images is")},
	{name: compat.ImageInspect, handle: (*server).inspectImage},
	{name: compat.ImageHistory, handle: (*server).imageHistory},
	{name: "POST /images/{name...}/tag", handle: (*server).tagImage},
	{name: "DELETE /images/{name...}", handle: (*server).removeImage},
	{name: "GET /images/{name...}/get", handle: notImplemented("saving images is")},
	{name: "POST /images/{name...}/push", handle: notImplemented("pushing images is")},
	{name: "GET /images/{name...}/attestations", handle: notImplemented("attestations of images are")},
}

// missingRoutes are those of Docker that this server does not have, with what
// they are for.
func missingRoutes() []route {
	missing := map[string][]compat.Route{
		"pausing of containers is":         {"POST /containers/{id}/pause", "POST /containers/{id}/unpause"},
		"changing a container's limits is": {"POST /containers/{id}/update"},
		"statistics of containers are":     {"GET /containers/{id}/stats"},
		"exporting containers is":          {"GET /containers/{id}/export"},
		"listing changed files is":         {"GET /containers/{id}/changes"},
		"attaching by WebSocket is":        {"GET /containers/{id}/attach/ws"},
		"checkpoints are": {
			"GET /containers/{id}/checkpoints", "POST /containers/{id}/checkpoints", "DELETE /containers/{id}/checkpoints/{checkpoint}",
		},
		"copying files is": {
			"GET /containers/{id}/archive", "HEAD /containers/{id}/archive", "PUT /containers/{id}/archive", "POST /containers/{id}/copy",
		},
		"making images from containers is": {"POST /commit"},
		"building images is":               {"POST /build", "POST /build/prune", "POST /build/cancel", "POST /session", "POST /grpc"},
		"asking registries about images is": {
			"GET /distribution/{name...}/json",
		},
		"measuring the use of disks is": {"GET /system/df"},
		"managing networks is": {
			"GET /networks", "POST /networks/create", "POST /networks/prune",
			"POST /networks/{id}/connect", "POST /networks/{id}/disconnect", "DELETE /networks/{id}",
		},
		"managing volumes is": {
			"GET /volumes", "POST /volumes/create", "POST /volumes/prune",
			"PUT /volumes/{name}", "DELETE /volumes/{name}",
		},
		"plugins are": {
			"GET /plugins", "GET /plugins/privileges", "POST /plugins/pull", "POST /plugins/create",
			"DELETE /plugins/{name...}", "POST /plugins/{name...}/enable", "POST /plugins/{name...}/disable",
			"POST /plugins/{name...}/upgrade", "POST /plugins/{name...}/push", "POST /plugins/{name...}/set",
		},
		"joining swarms is": {"POST /swarm/init", "POST /swarm/join"},
	}
	// docker inspect NAME asks for one noun after the other, and goes on only
	// where it hears that there is none of that name.
	all := []route{
		{name: "GET /networks/{id}", handle: noneOf("network", "id")},
		{name: "GET /volumes/{name}", handle: noneOf("volume", "name")},
		{name: "GET /plugins/{name...}/json", handle: noneOf("plugin", "name")},
	}
	for what, names := range missing {
		for _, name := range names {
			all = append(all, route{name: name, handle: notImplemented(what)})
		}
	}
	return all
}

func swarmRoutes() []route {
	names := []compat.Route{
		"GET /swarm", "POST /swarm/leave", "POST /swarm/update", "GET /swarm/unlockkey", "POST /swarm/unlock",
		"GET /swarm/unlock", "GET /nodes", "GET /nodes/{id}", "DELETE /nodes/{id}", "POST /nodes/{id}/update",
		"GET /services", "POST /services/create", "GET /services/{id}", "DELETE /services/{id}",
		"POST /services/{id}/update", "GET /services/{id}/logs", "GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/logs",
		"GET /secrets", "POST /secrets/create", "GET /secrets/{id}", "DELETE /secrets/{id}", "POST /secrets/{id}/update",
		"GET /configs", "POST /configs/create", "GET /configs/{id}", "DELETE /configs/{id}", "POST /configs/{id}/update",
	}
	var all []route
	for _, name := range names {
		all = append(all, route{name: name, handle: noSwarm})
	}
	return all
}
