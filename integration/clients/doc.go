// Package clients tests a data center with the clients that people use, of every age: docker
// from 1.8.3 to 29, docker-compose 1 and compose 5, docker-py and dockerode.
//
// What a docker client can do is a list of small cases, each of which says from which API
// version on clients know the command; every docker client runs all those that it knows.
// scripts/clients installs the clients; those that are not there are skipped. docker itself,
// once as it is and once held to API 1.24, is always there.
package clients
