module github.com/docker/docker

go 1.26.0

replace github.com/docker/libnetwork => ./libnetwork

require (
	github.com/Sirupsen/logrus v0.8.2
	github.com/docker/distribution v2.1.1+incompatible
	github.com/docker/libnetwork v0.0.0
	github.com/docker/libtrust v0.0.0-20150526203908-9cbd2a1374f4
	github.com/gorilla/context v1.1.1
	github.com/gorilla/mux v1.4.0
	github.com/opencontainers/runc v0.1.1
	golang.org/x/net v0.62.0
)
