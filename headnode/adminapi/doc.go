// Package adminapi is what operators ask of a head: accounts and their keys,
// networks, packages, nodes, and how the head is.
//
// It is JSON over HTTP/1.1 on a unix socket that only root may open: who
// reaches the socket is the operator. Handler serves it, Client calls it; the
// types are shared. Errors cross as a model.Kind and a text.
package adminapi
