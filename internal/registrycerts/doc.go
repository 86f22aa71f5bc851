// Package registrycerts reads what an operator lays down for registries with
// private authorities, in Docker's form: a folder with a folder for each
// registry, named host or host:port, that holds authorities (*.crt) and
// certificates to show with their keys (NAME.cert, NAME.key). It is read anew
// for each connection that it is for, so that a change needs no restart.
package registrycerts
