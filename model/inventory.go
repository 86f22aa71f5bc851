package model

// Inventory is the hardware of a machine as it saw it itself when it joined.
// It is for people: nothing is decided by it.
type Inventory struct {
	Vendor    string      `json:"vendor,omitempty"`
	Product   string      `json:"product,omitempty"`
	Processor string      `json:"processor,omitempty"` // model name of the first CPU
	CPUs      int         `json:"cpus"`                // logical ones
	Memory    int64       `json:"memory"`              // bytes
	Disks     []Disk      `json:"disks,omitempty"`
	Links     []Interface `json:"links,omitempty"`
}

// Disk is a block device that is no part of another.
type Disk struct {
	Name       string `json:"name"` // sda, nvme0n1
	Model      string `json:"model,omitempty"`
	Size       int64  `json:"size"` // bytes
	Rotational bool   `json:"rotational,omitempty"`
}

// Interface is a physical network interface.
type Interface struct {
	Name  string `json:"name"`
	MAC   string `json:"mac"`
	Speed int    `json:"speed,omitempty"` // Mbit/s; 0 is unknown, or no carrier
	Up    bool   `json:"up"`
}

// Bounds of an Inventory.
const (
	maxParts    = 64  // disks, and interfaces
	maxPartText = 128 // bytes of one text
)

// Bounded returns i without what goes beyond the bounds of an inventory, which
// another machine may have sent.
func (i Inventory) Bounded() Inventory {
	for _, text := range []*string{&i.Vendor, &i.Product, &i.Processor} {
		*text = bounded(*text)
	}
	disks := append([]Disk(nil), i.Disks[:min(len(i.Disks), maxParts)]...)
	for n := range disks {
		disks[n].Name, disks[n].Model = bounded(disks[n].Name), bounded(disks[n].Model)
	}
	links := append([]Interface(nil), i.Links[:min(len(i.Links), maxParts)]...)
	for n := range links {
		links[n].Name, links[n].MAC = bounded(links[n].Name), bounded(links[n].MAC)
	}
	i.Disks, i.Links = disks, links
	return i
}

func bounded(s string) string { return s[:min(len(s), maxPartText)] }
