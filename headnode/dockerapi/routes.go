package dockerapi

import (
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// routes is Docker's whole route table. A route that stands before another is
// tried first.
var routes = slices.Concat(systemRoutes, containerRoutes, fileRoutes, imageRoutes, buildRoutes, networkRoutes, volumeRoutes,
	missingRoutes(), emptyRoutes, swarmRoutes())

var systemRoutes = []route{
	{name: "GET /_ping", handle: (*server).ping, open: true},
	{name: "HEAD /_ping", handle: (*server).ping, open: true},
	{name: "GET /ca.pem", handle: (*server).certificate, open: true},
	{name: compat.ServerVersion, handle: (*server).serverVersion, stateless: true},
	{name: compat.Info, handle: (*server).info},
	{name: "POST /auth", handle: (*server).login},
	{name: compat.Events, handle: (*server).events},
	{name: compat.DiskUsage, handle: (*server).diskUsage},
}

var containerRoutes = []route{
	{name: compat.ContainerList, handle: (*server).listContainers},
	{name: compat.ContainerCreate, handle: (*server).createContainer},
	{name: "POST /containers/prune", handle: (*server).pruneContainers},
	{name: compat.ContainerInspect, handle: (*server).inspectContainer},
	{name: "POST /containers/{id}/start", handle: (*server).startContainer},
	{name: compat.ContainerStop, handle: (*server).stopContainer},
	{name: compat.ContainerRestart, handle: (*server).restartContainer},
	{name: "POST /containers/{id}/kill", handle: (*server).killContainer},
	{name: "POST /containers/{id}/pause", handle: (*server).pauseContainer},
	{name: "POST /containers/{id}/unpause", handle: (*server).unpauseContainer},
	{name: compat.ContainerUpdate, handle: (*server).updateContainer},
	{name: compat.ContainerWait, handle: (*server).waitContainer},
	{name: "DELETE /containers/{id}", handle: (*server).removeContainer},
	{name: "DELETE /containers/{id}/{alias}", handle: (*server).removeLink},
	{name: "POST /containers/{id}/rename", handle: (*server).renameContainer},
	{name: "POST /containers/{id}/resize", handle: (*server).resizeContainer},
	{name: "POST /containers/{id}/attach", handle: (*server).attachContainer},
	{name: "GET /containers/{id}/attach/ws", handle: (*server).attachSocket},
	{name: compat.ContainerLogs, handle: (*server).containerLogs},
	{name: "GET /containers/{id}/top", handle: (*server).topContainer},
	{name: compat.ContainerStats, handle: (*server).containerStats},
	{name: compat.ExecCreate, handle: (*server).createExec},
	{name: compat.ExecStart, handle: (*server).startExec},
	{name: "POST /exec/{id}/resize", handle: (*server).resizeExec},
	{name: "GET /exec/{id}/json", handle: (*server).inspectExec},
}

var fileRoutes = []route{
	{name: "GET /containers/{id}/archive", handle: (*server).readArchive},
	{name: "HEAD /containers/{id}/archive", handle: (*server).statArchive},
	{name: compat.ArchivePut, handle: (*server).writeArchive},
	{name: "POST /containers/{id}/copy", handle: (*server).copyFrom},
	{name: "GET /containers/{id}/export", handle: (*server).exportContainer},
	{name: "GET /containers/{id}/changes", handle: (*server).listChanges},
	{name: compat.ContainerCommit, handle: (*server).commitContainer},
}

var imageRoutes = []route{
	{name: compat.ImageList, handle: (*server).listImages},
	{name: compat.ImageCreate, handle: (*server).createImage},
	{name: compat.ImageSearch, handle: (*server).searchImages},
	{name: compat.ImageSave, handle: (*server).saveImages},
	{name: compat.ImageSaveOne, handle: (*server).saveImages},
	{name: compat.ImageLoad, handle: (*server).loadImages},
	{name: "POST /images/prune", handle: (*server).pruneImages},
	{name: compat.ImageInspect, handle: (*server).inspectImage},
	{name: compat.ImageHistory, handle: (*server).imageHistory},
	{name: compat.ImagePush, handle: (*server).pushImage},
	{name: "POST /images/{name...}/tag", handle: (*server).tagImage},
	{name: compat.ImageRemove, handle: (*server).removeImage},
	{name: "GET /distribution/{name...}/json", handle: (*server).distribution},
}

var networkRoutes = []route{
	{name: compat.NetworkList, handle: (*server).listNetworks},
	{name: "POST /networks/prune", handle: (*server).pruneNetworks},
	{name: "POST /networks/create", handle: (*server).createNetwork},
	{name: compat.NetworkInspect, handle: (*server).inspectNetwork},
	{name: "POST /networks/{id}/connect", handle: (*server).connectNetwork},
	{name: "POST /networks/{id}/disconnect", handle: (*server).disconnectNetwork},
	{name: "DELETE /networks/{id}", handle: (*server).removeNetwork},
}

var volumeRoutes = []route{
	{name: "GET /volumes", handle: (*server).listVolumes},
	{name: "POST /volumes/create", handle: (*server).createVolume},
	{name: "POST /volumes/prune", handle: (*server).pruneVolumes},
	{name: "GET /volumes/{name}", handle: (*server).inspectVolume},
	{name: "PUT /volumes/{name}", handle: (*server).updateVolume},
	{name: "DELETE /volumes/{name}", handle: (*server).removeVolume},
}

// missingRoutes are those of Docker that this server does not have, with what
// they are for.
func missingRoutes() []route {
	missing := []struct {
		what  string
		names []compat.Route
	}{
		{"attestations of images are", []compat.Route{"GET /images/{name...}/attestations"}},
		{"checkpoints are", []compat.Route{
			"GET /containers/{id}/checkpoints", "POST /containers/{id}/checkpoints", "DELETE /containers/{id}/checkpoints/{checkpoint}",
		}},
		{"plugins are", []compat.Route{
			"GET /plugins/privileges", "POST /plugins/pull", "POST /plugins/create",
			"DELETE /plugins/{name...}", "POST /plugins/{name...}/enable", "POST /plugins/{name...}/disable",
			"POST /plugins/{name...}/upgrade", "POST /plugins/{name...}/push", "POST /plugins/{name...}/set",
		}},
		{"joining swarms is", []compat.Route{"POST /swarm/init", "POST /swarm/join"}},
	}
	var all []route
	for _, m := range missing {
		for _, name := range m.names {
			all = append(all, route{name: name, handle: notImplemented(m.what)})
		}
	}
	return all
}

// emptyRoutes answer that there is nothing.
var emptyRoutes = []route{
	{name: "GET /plugins", handle: emptyList},
	{name: "GET /plugins/{name...}/json", handle: noneOf("plugin", "name")},
}

func swarmRoutes() []route {
	names := []compat.Route{
		"GET /swarm", "POST /swarm/update", "GET /swarm/unlockkey", "POST /swarm/unlock",
		"GET /swarm/unlock", "GET /nodes", "GET /nodes/{id}", "DELETE /nodes/{id}", "POST /nodes/{id}/update",
		"GET /services", "POST /services/create", "GET /services/{id}", "DELETE /services/{id}",
		"POST /services/{id}/update", "GET /services/{id}/logs", "GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/logs",
		"GET /secrets", "POST /secrets/create", "GET /secrets/{id}", "DELETE /secrets/{id}", "POST /secrets/{id}/update",
		"GET /configs", "POST /configs/create", "GET /configs/{id}", "DELETE /configs/{id}", "POST /configs/{id}/update",
	}
	all := []route{{name: "POST /swarm/leave", handle: noSwarmToLeave}}
	for _, name := range names {
		all = append(all, route{name: name, handle: noSwarm})
	}
	return all
}
