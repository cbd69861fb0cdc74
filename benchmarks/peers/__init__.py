"""The models that FuseRank is compared with, in an environment of their own."""
