package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// upstreamHeader tells the node where a request is to go.
const upstreamHeader = "Spearhead-Upstream"

// accountHost is the registry, of the node's own making, of the images that
// the account has. It answers by the names of those that they came from.
const accountHost = "account.invalid"

// registries finds images: those of the account first, then those of the
// registry that a name says. All of it goes through the node.
type registries struct{ client *http.Client }

func newRegistries(socket string) *registries {
	var dialer net.Dialer
	return &registries{&http.Client{Transport: throughNode{&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}}}
}

// hosts is a docker.RegistryHosts.
func (r *registries) hosts(name string) ([]docker.RegistryHost, error) {
	address, err := docker.DefaultHost(name)
	if err != nil {
		return nil, err
	}
	return []docker.RegistryHost{
		{
			Client: r.client, Host: accountHost, Scheme: "https", Path: "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
		},
		{
			Client: r.client, Host: address, Scheme: "https", Path: "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve | docker.HostCapabilityPush,
		},
	}, nil
}

// throughNode hands every request to the node, whatever its host.
type throughNode struct{ *http.Transport }

func (t throughNode) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Header.Set(upstreamHeader, r.URL.Scheme+"://"+r.URL.Host)
	sent.URL.Scheme, sent.URL.Host = "http", "node"
	sent.Host = r.URL.Host
	response, err := t.Transport.RoundTrip(sent)
	if err == nil {
		response.Request = r // redirects are relative to it
	}
	return response, err
}
