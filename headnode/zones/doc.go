// Package zones answers questions of DNS (RFC 1035) about containers that
// others can reach: by their names, and by the services that they are part of.
//
//	NAME.inst.LOGIN.DATACENTER.SUFFIX   a container, by its name or short id
//	SERVICE.svc.LOGIN.DATACENTER.SUFFIX all containers of a service that do well
//
// Each head that is told to answers from its own state. Only addresses on
// external networks are told: those of fabrics mean nothing elsewhere.
package zones
