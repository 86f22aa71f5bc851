// Package seedimage puts a first image into a registry: one layer made of a folder, pushed
// by the OCI distribution protocol over plain HTTP.
//
// A new rack on a machine without internet has nothing to run; tests need images of known
// content. It is no general pusher: one layer, one platform (this machine's), no
// credentials, a registry that the caller trusts.
package seedimage
