"""Files of impressions evaluated, in the columns of KuaiRand, whose labels may be no actions."""
