package model

// ContainerUpdate changes a container that exists. What is nil stays.
type ContainerUpdate struct {
	// Limits are all limits that hold from now on, the unchanged ones too.
	Limits  *Limits        `json:"limits,omitempty"`
	Restart *RestartPolicy `json:"restart,omitempty"`
	// Links are all links from now on, for the container's next start. The
	// heads decide them and need no journal entry about them.
	Links *[]Link `json:"links,omitempty"`
	// Operation names the update to the heads; the node's journal repeats it.
	Operation string `json:"operation,omitempty"`
}
