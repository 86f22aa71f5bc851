// Package fwrule reads firewall rules as people write them:
//
//	FROM any TO tag role = www ALLOW tcp (PORT 80 AND PORT 443)
//	FROM (ip 10.0.0.7 OR subnet 10.1.0.0/16) TO all vms BLOCK icmp TYPE 8 PRIORITY 50
//
// and says which containers they are about. Tags are the labels of containers.
// It is pure.
package fwrule
