"""KuaiRand: the loader, and the history before its log."""
