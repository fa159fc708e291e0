throw new RangeError("this file is broken");
