package model

// ContainerUpdate changes a container that exists. What is nil stays.
type ContainerUpdate struct {
	// Limits are all limits that hold from now on, the unchanged ones too.
	Limits  *Limits        `json:"limits,omitempty"`
	Restart *RestartPolicy `json:"restart,omitempty"`
	// Links are all links from now on. A node learns of them for the
	// container's next start; alone, they make no event.
	Links *[]Link `json:"links,omitempty"`
	// Operation names the update to the heads; the node's journal repeats it.
	Operation string `json:"operation,omitempty"`
}
