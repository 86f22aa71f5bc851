package model

// Service is something that a container offers, found by a name which others
// that offer the same have as well.
type Service struct {
	Name string `json:"name"`
	// Port is 0 where the service is found by its address only. Priority and
	// Weight are as in RFC 2782.
	Port     uint16 `json:"port,omitempty"`
	Priority uint16 `json:"priority,omitempty"`
	Weight   uint16 `json:"weight,omitempty"`
}
